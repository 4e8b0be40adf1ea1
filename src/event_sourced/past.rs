use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::StoreError;
use futures_util::future::BoxFuture;

use crate::ports::{BookingFilter, BookingView};

/// Bookings that are too long past to be kept in memory.
pub trait PastBookings: Send + Sync + 'static {
    /// At most `filter.limit`, in the filter's order.
    fn list(&self, tenant_id: TenantId, filter: BookingFilter) -> BoxFuture<'_, Result<Vec<BookingView>, StoreError>>;
}
