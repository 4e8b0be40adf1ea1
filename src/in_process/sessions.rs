use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use codeccloud_actors::ids::{TenantId, UserId};
use futures_util::future::{BoxFuture, ready};

use crate::ports::Sessions;

/// Entries that have had their time are dropped from this many on.
const CROWDED: usize = 10_000;

pub struct LocalSessions {
    kept: Duration,
    last_writes: Mutex<LastWrites>,
}

struct LastWrites {
    of_users: HashMap<(TenantId, UserId), LastWrite>,
    /// Twice as many as the last sweep left, so that sweeping costs each write the same, however many users are at work:
    /// reads wait for the lock meanwhile.
    sweep_at: usize,
}

#[derive(Clone, Copy)]
struct LastWrite {
    transaction_id: u64,
    at: Instant,
}

impl LocalSessions {
    pub fn new(kept: Duration) -> LocalSessions {
        let last_writes = LastWrites { of_users: HashMap::new(), sweep_at: CROWDED };
        LocalSessions { kept, last_writes: Mutex::new(last_writes) }
    }

    pub fn note(&self, tenant_id: TenantId, user_id: UserId, transaction_id: u64) {
        let mut last_writes = self.lock();
        last_writes.sweep_when_due(self.kept);
        let new = LastWrite { transaction_id, at: Instant::now() };
        let write = last_writes.of_users.entry((tenant_id, user_id)).or_insert(new);
        let known = if write.at.elapsed() < self.kept { write.transaction_id } else { 0 };
        *write = LastWrite { transaction_id: known.max(transaction_id), ..new };
    }

    pub fn find(&self, tenant_id: TenantId, user_id: UserId) -> Option<u64> {
        let last_writes = self.lock();
        let write = last_writes.of_users.get(&(tenant_id, user_id))?;
        (write.at.elapsed() < self.kept).then_some(write.transaction_id)
    }

    fn lock(&self) -> MutexGuard<'_, LastWrites> {
        self.last_writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions for LocalSessions {
    fn wrote(&self, tenant_id: TenantId, user_id: UserId, transaction_id: u64) -> BoxFuture<'_, ()> {
        self.note(tenant_id, user_id, transaction_id);
        Box::pin(ready(()))
    }

    fn last_write(&self, tenant_id: TenantId, user_id: UserId) -> BoxFuture<'_, Option<u64>> {
        Box::pin(ready(self.find(tenant_id, user_id)))
    }
}

impl LastWrites {
    fn sweep_when_due(&mut self, kept: Duration) {
        if self.of_users.len() >= self.sweep_at {
            self.of_users.retain(|_, write| write.at.elapsed() < kept);
            self.sweep_at = CROWDED.max(2 * self.of_users.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ports::SESSION_KEPT;

    #[test]
    fn a_crowd_that_is_at_work_is_not_swept_with_every_write() {
        let sessions = LocalSessions::new(SESSION_KEPT);
        for user in 0..=CROWDED as u128 {
            sessions.note(TenantId(Uuid::nil()), UserId(Uuid::from_u128(user)), 1);
        }
        let last_writes = sessions.lock();
        assert_eq!((last_writes.of_users.len(), last_writes.sweep_at), (CROWDED + 1, 2 * CROWDED));
    }
}
