use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use codeccloud_actors::ids::{TenantId, UserId};

/// Between two looks for the same stranger: by then, what is new has come by itself.
const PAUSE: Duration = Duration::from_secs(1);

/// Strangers looked for within a pause. Tokens are signed, so this many come only after many members have left.
const LOOKS_MAX: usize = 100;

/// Users whom memory did not know when they came. It bounds what they cost the database.
#[derive(Default)]
pub(super) struct Strangers {
    looked_for: Mutex<HashMap<(TenantId, UserId), Instant>>,
}

impl Strangers {
    /// Whether to look for this one now.
    pub fn may_look(&self, tenant_id: TenantId, user_id: UserId, now: Instant) -> bool {
        let mut looked_for = self.looked_for.lock().unwrap_or_else(PoisonError::into_inner);
        looked_for.retain(|_, at| now.duration_since(*at) < PAUSE);
        if looked_for.len() >= LOOKS_MAX || looked_for.contains_key(&(tenant_id, user_id)) {
            return false;
        }
        looked_for.insert((tenant_id, user_id), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_stranger_is_looked_for_once_a_pause_and_many_are_bounded() {
        let strangers = Strangers::default();
        let tenant = TenantId(Uuid::nil());
        let user = |number: usize| UserId(Uuid::from_u128(number as u128));
        let began = Instant::now();
        assert!(strangers.may_look(tenant, user(0), began));
        assert!(!strangers.may_look(tenant, user(0), began));
        assert!(!strangers.may_look(tenant, user(0), began + PAUSE / 2));
        let looks = (1..10 * LOOKS_MAX).filter(|number| strangers.may_look(tenant, user(*number), began)).count();
        assert_eq!(looks, LOOKS_MAX - 1);
        assert!(strangers.may_look(tenant, user(0), began + PAUSE));
        assert_eq!(strangers.looked_for.lock().unwrap().len(), 1, "those long past are forgotten");
    }
}
