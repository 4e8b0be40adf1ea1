//! Where personal data lives: names, addresses and free text, encrypted per customer.
//!
//! Everything else (events, snapshots, read models, logs) carries a `customer_id` only. Each customer has a data key,
//! wrapped by the master key; deleting the customer's row destroys it, and with it all that was ever encrypted under it,
//! in backups too.
//!
//! What a command brings is sealed before it is decided and committed in the command's own append, so that a booking and
//! its customer are there together or not at all. Correctness comes from the revision that each row names; the cache and
//! the turns taken at a customer only save work.

mod cache;
mod crypto;
mod customers;
mod loader;
mod master;
mod profile;
mod rotation;
mod sealing;
mod store;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::ids::{BookingId, CustomerId, TenantId};
use codeccloud_actors::ports::Clock;

pub use crypto::CustomerKey;
pub use master::{MasterKey, MasterKeyError, MasterKeys, SealedSecret};
pub use profile::{BookingNotes, CustomerProfile, NoteKind};
pub use rotation::Rewrapped;
pub use sealing::{ProfileUpdate, Sealing};
pub use store::{CustomerRef, Unreachable, VaultStore};

use cache::Cache;
use loader::Loader;
use turns::Turns;

/// About 300 bytes each.
const CACHED_CUSTOMERS_MAX: usize = 100_000;

/// What another node changed or erased is noticed here after this long at the latest.
const CACHE_FRESH_MS: i64 = 30_000;

/// How long a sealing waits for another one of the same customer: longer than a commit takes.
const TURN_WAIT_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error("the vault holds data under the master key {0:?}, which is not configured")]
    UnknownMasterKey(String),
    #[error("what the vault holds of customer {0} can't be decrypted")]
    Unreadable(CustomerId),
}

pub struct Vault {
    keys: MasterKeys,
    store: Arc<dyn VaultStore>,
    clock: Arc<dyn Clock>,
    cache: Cache,
    loader: Loader,
    turns: Arc<Turns>,
}

/// What the vault knows of a customer, decrypted.
#[derive(Debug)]
pub struct KnownCustomer {
    /// `None` of one whom other software has booked, and about whom there is free text only.
    pub profile: Option<CustomerProfile>,
    /// Counts the changes of the stored row.
    pub revision: i32,
    key: CustomerKey,
}

impl Vault {
    pub fn new(keys: MasterKeys, store: Arc<dyn VaultStore>, clock: Arc<dyn Clock>) -> Vault {
        Vault {
            keys,
            loader: Loader::new(store.clone()),
            store,
            clock,
            cache: Cache::new(CACHED_CUSTOMERS_MAX, CACHE_FRESH_MS),
            turns: Arc::new(Turns::new(TURN_WAIT_MAX)),
        }
    }

    /// Customers whom the vault doesn't know, or who were erased, are absent from the answer. While the store can't be
    /// reached, what was read earlier still serves, and of whom nothing was is absent too.
    pub async fn profiles(
        &self,
        tenant_id: TenantId,
        customers: &[CustomerId],
    ) -> Result<HashMap<CustomerId, Arc<KnownCustomer>>, VaultError> {
        let known = match self.known(tenant_id, customers).await {
            Err(VaultError::Unreachable(reason)) => {
                tracing::debug!(%reason, "profiles are read from memory alone");
                self.remembered(tenant_id, customers)
            }
            known => known?,
        };
        let with_profile = known.into_iter().filter(|(_, known)| known.profile.is_some());
        Ok(with_profile.map(|(customer, known)| (customer.customer_id, known)).collect())
    }

    /// Bookings without a note are absent from the answer.
    pub async fn notes(
        &self,
        tenant_id: TenantId,
        bookings: &[BookingId],
    ) -> Result<HashMap<BookingId, BookingNotes>, VaultError> {
        if bookings.is_empty() {
            return Ok(HashMap::new());
        }
        let sealed = self.store.load_notes(tenant_id, bookings).await?;
        let customers: HashSet<CustomerId> = sealed.iter().map(|note| note.customer_id).collect();
        let known = self.known(tenant_id, &Vec::from_iter(customers)).await?;
        let mut notes: HashMap<BookingId, BookingNotes> = HashMap::new();
        for note in &sealed {
            let customer_id = note.customer_id;
            // Erased between the two reads.
            let Some(customer) = known.get(&CustomerRef { tenant_id, customer_id }) else { continue };
            let (kind, text) = customer.key.open_note(note)?;
            notes.entry(note.booking_id).or_default().put(kind, text);
        }
        Ok(notes)
    }

    /// The key of a customer whom the vault knows already; [`Vault::seal_key`] makes one.
    pub async fn key(&self, tenant_id: TenantId, customer_id: CustomerId) -> Result<Option<CustomerKey>, VaultError> {
        let known = self.known(tenant_id, &[customer_id]).await?;
        Ok(known.into_values().next().map(|known| known.key.clone()))
    }

    /// Decrypts a stored answer. `None` when the customer was erased: nobody can read it any more.
    pub async fn open_answer(
        &self,
        tenant_id: TenantId,
        customer_id: CustomerId,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, VaultError> {
        let key = self.key(tenant_id, customer_id).await?;
        key.map(|key| key.open_answer(sealed)).transpose()
    }

    /// By the exact address, in whatever case it is written.
    pub async fn find_by_email(&self, tenant_id: TenantId, email: &str) -> Result<Vec<CustomerId>, VaultError> {
        Ok(self.store.find_by_email(tenant_id, &self.keys.email_lookups(tenant_id, email)).await?)
    }

    /// To be called when a sealing is outdated, or what became of it is unknown: the next one begins with the store's row.
    pub fn forget(&self, tenant_id: TenantId, customer_id: CustomerId) {
        self.cache.remove(CustomerRef { tenant_id, customer_id });
    }

    async fn known(
        &self,
        tenant_id: TenantId,
        customers: &[CustomerId],
    ) -> Result<HashMap<CustomerRef, Arc<KnownCustomer>>, VaultError> {
        let now = self.clock.now();
        let mut known = HashMap::with_capacity(customers.len());
        let mut missing = Vec::new();
        for &customer_id in customers {
            let customer = CustomerRef { tenant_id, customer_id };
            match self.cache.fresh(customer, now) {
                Some(found) => drop(known.insert(customer, found)),
                None => missing.push(customer),
            }
        }
        if !missing.is_empty() {
            known.extend(self.read(&missing).await?);
        }
        Ok(known)
    }

    async fn read(&self, customers: &[CustomerRef]) -> Result<HashMap<CustomerRef, Arc<KnownCustomer>>, VaultError> {
        let now = self.clock.now();
        let loaded = self.loader.load(customers).await?;
        let mut read = HashMap::with_capacity(customers.len());
        for &customer in customers {
            match loaded.get(&customer) {
                Some(row) => {
                    let opened = Arc::new(self.keys.open(customer, row)?);
                    read.insert(customer, self.cache.put(customer, opened, now));
                }
                None => self.cache.remove(customer),
            }
        }
        Ok(read)
    }

    /// Those of the customers that are in memory, however long ago they were read.
    fn remembered(&self, tenant_id: TenantId, customers: &[CustomerId]) -> HashMap<CustomerRef, Arc<KnownCustomer>> {
        let customers = customers.iter().map(|&customer_id| CustomerRef { tenant_id, customer_id });
        customers.filter_map(|customer| Some((customer, self.cache.any(customer)?))).collect()
    }
}
