//! What each user wrote last, so that the same user's next read waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::{TenantId, UserId};

/// Projections follow within milliseconds, unless something holds the feed's horizon back: then a read waits for as long as
/// it may and goes ahead without the write, and there is no use in having it wait for ever after.
const KEPT: Duration = Duration::from_secs(10);
/// Entries that have had their time are dropped from this many on.
const CROWDED: usize = 10_000;

pub struct Sessions {
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

impl Sessions {
    /// Answers may come in another order than their commits.
    pub fn wrote(&self, tenant_id: TenantId, caller: &Caller, transaction_id: u64) {
        let mut last_writes = self.lock();
        last_writes.sweep_when_due();
        let at = Instant::now();
        let write = last_writes.of_users.entry((tenant_id, caller.user_id)).or_insert(LastWrite { transaction_id, at });
        *write = LastWrite { transaction_id: write.transaction_id.max(transaction_id), at };
    }

    /// The transaction that the user's reads have to be past.
    pub fn last_write(&self, tenant_id: TenantId, caller: &Caller) -> Option<u64> {
        let last_writes = self.lock();
        let write = last_writes.of_users.get(&(tenant_id, caller.user_id))?;
        (write.at.elapsed() < KEPT).then_some(write.transaction_id)
    }

    fn lock(&self) -> MutexGuard<'_, LastWrites> {
        self.last_writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { last_writes: Mutex::new(LastWrites { of_users: HashMap::new(), sweep_at: CROWDED }) }
    }
}

impl LastWrites {
    fn sweep_when_due(&mut self) {
        if self.of_users.len() >= self.sweep_at {
            self.of_users.retain(|_, write| write.at.elapsed() < KEPT);
            self.sweep_at = CROWDED.max(2 * self.of_users.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use codeccloud_actors::envelope::Role;
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn caller(user: u128) -> Caller {
        Caller { user_id: UserId(Uuid::from_u128(user)), role: Role::Owner }
    }

    #[test]
    fn the_latest_transaction_counts_whichever_is_heard_of_last() {
        let sessions = Sessions::default();
        for transaction_id in [7, 9, 8] {
            sessions.wrote(TENANT, &caller(1), transaction_id);
        }
        assert_eq!(sessions.last_write(TENANT, &caller(1)), Some(9));
        assert_eq!(sessions.last_write(TENANT, &caller(2)), None);
    }

    #[test]
    fn a_crowd_that_is_at_work_is_not_swept_with_every_write() {
        let sessions = Sessions::default();
        for user in 0..=CROWDED as u128 {
            sessions.wrote(TENANT, &caller(user), 1);
        }
        let last_writes = sessions.lock();
        assert_eq!((last_writes.of_users.len(), last_writes.sweep_at), (CROWDED + 1, 2 * CROWDED));
    }
}
