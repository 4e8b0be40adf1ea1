use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::SealedCustomer;
use futures_util::future::try_join_all;

use super::{CustomerRef, Vault, VaultError};

/// How far a rotation of the master key has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewrapped {
    pub tenants: usize,
    pub customers: u64,
}

impl Vault {
    /// Brings every customer of these tenants under the current master key. When it returns and all servers write under
    /// that key, the previous one may go.
    ///
    /// It can run while servers serve, be stopped, and be started again. Notes and profiles keep their data keys.
    pub async fn rewrap_all(
        &self,
        tenants: &[TenantId],
        mut progress: impl FnMut(Rewrapped),
    ) -> Result<Rewrapped, VaultError> {
        let mut done = Rewrapped::default();
        for &tenant_id in tenants {
            loop {
                let rows = self.store.customers_not_under(tenant_id, self.keys.current_id()).await?;
                if rows.is_empty() {
                    break;
                }
                let moved = try_join_all(rows.iter().map(|row| self.rewrap(tenant_id, row))).await?;
                // One that was changed meanwhile is met again, unless the change itself brought it under the new key.
                done.customers += moved.into_iter().map(u64::from).sum::<u64>();
                progress(done);
            }
            done.tenants += 1;
            progress(done);
        }
        Ok(done)
    }

    async fn rewrap(&self, tenant_id: TenantId, row: &SealedCustomer) -> Result<bool, VaultError> {
        let customer = CustomerRef { tenant_id, customer_id: row.customer_id };
        let known = self.keys.open(customer, row)?;
        let row = self.keys.seal(customer, &known.key, known.profile.as_ref(), known.revision);
        Ok(self.store.update_customer(tenant_id, row).await?)
    }
}
