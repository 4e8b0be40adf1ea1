use bytes::Bytes;
use codeccloud_actors::ids::{BookingId, CustomerId, TenantId};
use codeccloud_actors::ports::{SealedCustomer, SealedNote};
use futures_util::future::BoxFuture;

/// The vault's rows. Whatever comes in or goes out here is encrypted; new customers and notes come in through the journal.
pub trait VaultStore: Send + Sync + 'static {
    /// Those of the customers that have a row, `revision` being the row's own.
    fn load_customers<'a>(
        &'a self,
        customers: &'a [CustomerRef],
    ) -> BoxFuture<'a, Result<Vec<(CustomerRef, SealedCustomer)>, Unreachable>>;

    fn load_notes<'a>(
        &'a self,
        tenant_id: TenantId,
        bookings: &'a [BookingId],
    ) -> BoxFuture<'a, Result<Vec<SealedNote>, Unreachable>>;

    /// Replaces the row if it still has `row.revision`, and counts it up. `false`: nothing was written, the row has
    /// changed or is gone.
    fn update_customer(&self, tenant_id: TenantId, row: SealedCustomer) -> BoxFuture<'_, Result<bool, Unreachable>>;

    /// The customers with one of these lookup hashes.
    fn find_by_email<'a>(
        &'a self,
        tenant_id: TenantId,
        lookups: &'a [Bytes],
    ) -> BoxFuture<'a, Result<Vec<CustomerId>, Unreachable>>;

    /// Some of the customers whose key is wrapped by another master key than this one; none when there are none left.
    fn customers_not_under<'a>(
        &'a self,
        tenant_id: TenantId,
        master_key_id: &'a str,
    ) -> BoxFuture<'a, Result<Vec<SealedCustomer>, Unreachable>>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CustomerRef {
    pub tenant_id: TenantId,
    pub customer_id: CustomerId,
}

/// Nothing is known to be lost; the caller may try again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the vault can't be reached: {0}")]
pub struct Unreachable(pub String);
