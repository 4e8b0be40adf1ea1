use codeccloud_actors::ids::{BookingId, TenantId};
use codeccloud_actors::ports::StoreError;
use futures_util::future::BoxFuture;

use crate::ports::{BookingFilter, BookingView};

/// Bookings that are, or once were, too long past to be kept in memory.
pub trait PastBookings: Send + Sync + 'static {
    /// At most `filter.limit`, in the filter's order.
    fn list(&self, tenant_id: TenantId, filter: BookingFilter) -> BoxFuture<'_, Result<Vec<BookingView>, StoreError>>;

    /// Those of `ids` that there are, in any order.
    fn some(&self, tenant_id: TenantId, ids: Vec<BookingId>) -> BoxFuture<'_, Result<Vec<BookingView>, StoreError>>;
}
