use std::collections::HashMap;

use codeccloud_actors::ids::{BookingId, CustomerId, TenantId, Version};
use futures_util::future::BoxFuture;

use crate::vault::CustomerProfile;

/// Personal data, as far as the door shows or changes it. Whoever was erased is not there.
///
/// A list of bookings is shown while the database is away, from memory, and so without what of this only the database
/// holds: profiles that were not read of late, and all reasons. Asked for one customer, it is unavailable instead.
pub trait Customers: Send + Sync + 'static {
    fn profiles<'a>(
        &'a self,
        tenant_id: TenantId,
        ids: &'a [CustomerId],
    ) -> BoxFuture<'a, Result<HashMap<CustomerId, CustomerProfile>, CustomersError>>;

    /// Of those of the bookings that have one.
    fn cancellation_reasons<'a>(
        &'a self,
        tenant_id: TenantId,
        ids: &'a [BookingId],
    ) -> BoxFuture<'a, Result<HashMap<BookingId, String>, CustomersError>>;

    /// As it stands now, with the version that [`Customers::change`] asks for.
    fn current(
        &self,
        tenant_id: TenantId,
        id: CustomerId,
    ) -> BoxFuture<'_, Result<(CustomerProfile, Version), CustomersError>>;

    /// Replaces the profile if it still has the version `expected`; returns the version that it has then.
    fn change<'a>(
        &'a self,
        tenant_id: TenantId,
        id: CustomerId,
        profile: &'a CustomerProfile,
        expected: Version,
    ) -> BoxFuture<'a, Result<Version, CustomersError>>;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomersError {
    #[error("customer not found")]
    NotFound,
    #[error("it has changed since")]
    Outdated,
    #[error("{0}")]
    Unavailable(String),
}
