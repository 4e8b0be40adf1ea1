//! What each user wrote last, so that the same user's next read waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::{TenantId, UserId};

/// Projections are never behind by this much while reads are served at all.
const KEPT: Duration = Duration::from_secs(10);
/// Above this, entries that have had their time are dropped.
const CROWDED: usize = 10_000;

#[derive(Default)]
pub struct Sessions {
    last_writes: Mutex<HashMap<(TenantId, UserId), LastWrite>>,
}

#[derive(Clone, Copy)]
struct LastWrite {
    transaction_id: u64,
    at: Instant,
}

impl Sessions {
    pub fn wrote(&self, tenant_id: TenantId, caller: &Caller, transaction_id: u64) {
        let mut last_writes = self.last_writes.lock().unwrap_or_else(PoisonError::into_inner);
        if last_writes.len() >= CROWDED {
            last_writes.retain(|_, write| write.at.elapsed() < KEPT);
        }
        last_writes.insert((tenant_id, caller.user_id), LastWrite { transaction_id, at: Instant::now() });
    }

    /// The transaction that the user's reads have to be past.
    pub fn last_write(&self, tenant_id: TenantId, caller: &Caller) -> Option<u64> {
        let last_writes = self.last_writes.lock().unwrap_or_else(PoisonError::into_inner);
        let write = last_writes.get(&(tenant_id, caller.user_id))?;
        (write.at.elapsed() < KEPT).then_some(write.transaction_id)
    }
}
