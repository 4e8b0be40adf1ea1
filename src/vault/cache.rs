use std::sync::{Arc, Mutex, MutexGuard};

use codeccloud_actors::time::Timestamp;

use super::{CustomerRef, KnownCustomer};
use crate::generations::Generations;

/// Customers read of late.
pub struct Cache {
    fresh_ms: i64,
    generations: Mutex<Generations<CustomerRef, Entry>>,
}

#[derive(Clone)]
struct Entry {
    known: Arc<KnownCustomer>,
    read_at: Timestamp,
}

impl Cache {
    pub fn new(entries_max: usize, fresh_ms: i64) -> Cache {
        Cache { fresh_ms, generations: Mutex::new(Generations::new(entries_max)) }
    }

    /// What was read or written less than `fresh_ms` ago.
    pub fn fresh(&self, customer: CustomerRef, now: Timestamp) -> Option<Arc<KnownCustomer>> {
        let entry = self.generations().get(&customer)?;
        (now < entry.read_at.plus_millis(self.fresh_ms)).then_some(entry.known)
    }

    pub fn any(&self, customer: CustomerRef) -> Option<Arc<KnownCustomer>> {
        self.generations().get(&customer).map(|entry| entry.known)
    }

    /// Returns what the cache holds now: a later revision, if a commit has overtaken the read that brought `known`.
    pub fn put(&self, customer: CustomerRef, known: Arc<KnownCustomer>, read_at: Timestamp) -> Arc<KnownCustomer> {
        let mut generations = self.generations();
        let held = generations.get(&customer).map(|entry| entry.known);
        let kept = held.filter(|held| held.key == known.key && held.revision > known.revision).unwrap_or(known);
        let dropped = generations.insert(customer, Entry { known: kept.clone(), read_at });
        // Freeing a whole generation takes a while: not under the lock.
        drop(generations);
        drop(dropped);
        kept
    }

    pub fn remove(&self, customer: CustomerRef) {
        self.generations().remove(&customer);
    }

    fn generations(&self) -> MutexGuard<'_, Generations<CustomerRef, Entry>> {
        self.generations.lock().expect("nothing panics under this lock")
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.generations().len()
    }
}
