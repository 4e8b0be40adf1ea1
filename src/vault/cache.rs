use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use codeccloud_actors::time::Timestamp;

use super::{CustomerRef, KnownCustomer};

/// Customers read of late, in two generations: a hit moves an entry into the young one, and when that is full, the old one
/// is dropped as a whole. What is in use stays, without anything kept per entry to know that.
pub struct Cache {
    fresh_ms: i64,
    generations: Mutex<Generations>,
}

struct Generations {
    young_max: usize,
    young: HashMap<CustomerRef, Entry>,
    old: HashMap<CustomerRef, Entry>,
}

#[derive(Clone)]
struct Entry {
    known: Arc<KnownCustomer>,
    read_at: Timestamp,
}

impl Cache {
    pub fn new(entries_max: usize, fresh_ms: i64) -> Cache {
        let young_max = (entries_max / 2).max(1);
        Cache {
            fresh_ms,
            generations: Mutex::new(Generations { young_max, young: HashMap::new(), old: HashMap::new() }),
        }
    }

    /// What was read or written less than `fresh_ms` ago.
    pub fn fresh(&self, customer: CustomerRef, now: Timestamp) -> Option<Arc<KnownCustomer>> {
        let entry = self.generations().get(customer)?;
        (now < entry.read_at.plus_millis(self.fresh_ms)).then_some(entry.known)
    }

    pub fn any(&self, customer: CustomerRef) -> Option<Arc<KnownCustomer>> {
        self.generations().get(customer).map(|entry| entry.known)
    }

    /// Returns what the cache holds now: a later revision, if a commit has overtaken the read that brought `known`.
    pub fn put(&self, customer: CustomerRef, known: Arc<KnownCustomer>, read_at: Timestamp) -> Arc<KnownCustomer> {
        let mut generations = self.generations();
        let held = generations.get(customer).map(|entry| entry.known);
        let kept = held.filter(|held| held.key == known.key && held.revision > known.revision).unwrap_or(known);
        let dropped = generations.insert(customer, Entry { known: kept.clone(), read_at });
        // Freeing a whole generation takes a while: not under the lock.
        drop(generations);
        drop(dropped);
        kept
    }

    pub fn remove(&self, customer: CustomerRef) {
        let mut generations = self.generations();
        generations.young.remove(&customer);
        generations.old.remove(&customer);
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().expect("nothing panics under this lock")
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        let generations = self.generations();
        generations.young.len() + generations.old.len()
    }
}

impl Generations {
    fn get(&mut self, customer: CustomerRef) -> Option<Entry> {
        if let Some(entry) = self.young.get(&customer) {
            return Some(entry.clone());
        }
        let entry = self.old.remove(&customer)?;
        self.insert(customer, entry.clone());
        Some(entry)
    }

    /// Returns the generation that had to go.
    fn insert(&mut self, customer: CustomerRef, entry: Entry) -> Option<HashMap<CustomerRef, Entry>> {
        self.old.remove(&customer);
        let full = self.young.len() >= self.young_max && !self.young.contains_key(&customer);
        let dropped = full.then(|| std::mem::replace(&mut self.old, std::mem::take(&mut self.young)));
        self.young.insert(customer, entry);
        dropped
    }
}
