use std::sync::Arc;

use codeccloud_actors::ids::{CustomerId, TenantId};
use codeccloud_actors::ports::SealedCustomer;

use super::turns::Turn;
use super::{CustomerKey, CustomerProfile, CustomerRef, KnownCustomer, Vault, VaultError};

/// A customer's data, ready to be committed with the command that brought it. Hand it to [`Vault::committed`] after the
/// commit; dropped before, it leaves no trace.
pub struct Sealing {
    /// `None` when the vault holds exactly this profile already.
    pub row: Option<SealedCustomer>,
    pub key: CustomerKey,
    customer: CustomerRef,
    /// What will be known once `row` is committed.
    then: Option<KnownCustomer>,
    /// Others who bring news of the same customer wait for the outcome.
    _turn: Option<Turn>,
}

impl Sealing {
    pub fn customer_id(&self) -> CustomerId {
        self.customer.customer_id
    }

    /// Whether it brings what the vault doesn't hold yet, also after `row` was taken out.
    pub fn has_news(&self) -> bool {
        self.then.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileUpdate {
    Done {
        revision: i32,
    },
    /// The customer no longer has the revision that the change was made from.
    Outdated,
    UnknownCustomer,
}

impl Vault {
    /// Encrypts what a booking brings of its customer, under the customer's key or, for a new one, a fresh key.
    pub async fn seal_customer(
        &self,
        tenant_id: TenantId,
        customer_id: CustomerId,
        profile: &CustomerProfile,
    ) -> Result<Sealing, VaultError> {
        self.seal(CustomerRef { tenant_id, customer_id }, Some(profile)).await
    }

    /// What it takes to write about a customer of whom the vault may know nothing: other software has booked for such a one,
    /// or all that was known was erased. Then it is a fresh key alone.
    pub async fn seal_key(&self, tenant_id: TenantId, customer_id: CustomerId) -> Result<Sealing, VaultError> {
        self.seal(CustomerRef { tenant_id, customer_id }, None).await
    }

    async fn seal(&self, customer: CustomerRef, profile: Option<&CustomerProfile>) -> Result<Sealing, VaultError> {
        if let Some(known) = self.cache.fresh(customer, self.clock.now()).filter(|known| !is_news(profile, known)) {
            return Ok(self.following(customer, &known, profile));
        }
        let turn = self.turns.take(customer).await;
        let sealing = match self.known(customer.tenant_id, &[customer.customer_id]).await?.get(&customer) {
            Some(known) => self.following(customer, known, profile),
            None => self.sealed(customer, CustomerKey::generate(customer), profile, 0),
        };
        // Nobody has to wait for one that changes nothing.
        let turn = sealing.has_news().then_some(turn);
        Ok(Sealing { _turn: turn, ..sealing })
    }

    /// To be called once the sealing's row is committed, so that later bookings find the customer in memory.
    pub fn committed(&self, sealing: Sealing) {
        if let Some(known) = sealing.then {
            self.cache.put(sealing.customer, Arc::new(known), self.clock.now());
        }
    }

    /// As the store has it now, with the revision that [`Vault::update_profile`] asks for.
    pub async fn current(
        &self,
        tenant_id: TenantId,
        customer_id: CustomerId,
    ) -> Result<Option<Arc<KnownCustomer>>, VaultError> {
        Ok(self.read(&[CustomerRef { tenant_id, customer_id }]).await?.into_values().next())
    }

    /// Changes a customer outside of any booking.
    pub async fn update_profile(
        &self,
        tenant_id: TenantId,
        customer_id: CustomerId,
        profile: &CustomerProfile,
        expected_revision: i32,
    ) -> Result<ProfileUpdate, VaultError> {
        let customer = CustomerRef { tenant_id, customer_id };
        let Some(known) = self.current(tenant_id, customer_id).await? else {
            return Ok(ProfileUpdate::UnknownCustomer);
        };
        if known.revision != expected_revision {
            return Ok(ProfileUpdate::Outdated);
        }
        let mut sealing = self.following(customer, &known, Some(profile));
        let Some(row) = sealing.row.take() else {
            return Ok(ProfileUpdate::Done { revision: known.revision });
        };
        if !self.store.update_customer(tenant_id, row).await? {
            self.forget(tenant_id, customer_id);
            return Ok(ProfileUpdate::Outdated);
        }
        self.committed(sealing);
        Ok(ProfileUpdate::Done { revision: expected_revision + 1 })
    }

    fn following(&self, customer: CustomerRef, known: &KnownCustomer, profile: Option<&CustomerProfile>) -> Sealing {
        let key = known.key.clone();
        if !is_news(profile, known) {
            return Sealing { row: None, key, customer, then: None, _turn: None };
        }
        self.sealed(customer, key, profile, known.revision)
    }

    fn sealed(
        &self,
        customer: CustomerRef,
        key: CustomerKey,
        profile: Option<&CustomerProfile>,
        follows: i32,
    ) -> Sealing {
        let then = KnownCustomer { profile: profile.cloned(), revision: follows + 1, key: key.clone() };
        let row = self.keys.seal(customer, &key, profile, follows);
        Sealing { row: Some(row), key, customer, then: Some(then), _turn: None }
    }
}

/// Who brings no profile takes nothing away from the one that is known.
fn is_news(profile: Option<&CustomerProfile>, known: &KnownCustomer) -> bool {
    profile.is_some() && profile != known.profile.as_ref()
}
