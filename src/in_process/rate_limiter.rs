use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codeccloud_actors::time::Timestamp;
use futures_util::future::{BoxFuture, ready};

use crate::ports::{Quota, RateLimited, RateLimiter};

/// Some 100 bytes each: what a million users an hour need, and no more than a flood of made-up ones can take.
const WINDOWS_MAX: usize = 100_000;

pub struct LocalRateLimiter {
    limit: u32,
    window_ms: i64,
    windows: Mutex<HashMap<RateLimited, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    ends: Timestamp,
    used: u32,
}

impl LocalRateLimiter {
    pub fn new(limit: u32, window: Duration) -> LocalRateLimiter {
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        LocalRateLimiter { limit, window_ms, windows: Mutex::default() }
    }

    pub fn count(&self, caller: RateLimited, now: Timestamp) -> Option<Quota> {
        let mut windows = self.lock();
        if windows.len() >= WINDOWS_MAX && !windows.contains_key(&caller) {
            windows.retain(|_, window| now < window.ends);
            if windows.len() >= WINDOWS_MAX {
                return None;
            }
        }
        let fresh = Window { ends: now.plus_millis(self.window_ms), used: 0 };
        let window = windows.entry(caller).or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        let exceeded = window.used >= self.limit;
        window.used += u32::from(!exceeded);
        let millis_left = u64::try_from(window.ends.as_millis() - now.as_millis()).unwrap_or_default();
        Some(Quota::of(self.limit, window.used, Duration::from_millis(millis_left), exceeded))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RateLimited, Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RateLimiter for LocalRateLimiter {
    fn take(&self, caller: RateLimited, now: Timestamp) -> BoxFuture<'_, Option<Quota>> {
        Box::pin(ready(self.count(caller, now)))
    }
}

#[cfg(test)]
mod tests {
    use codeccloud_actors::ids::{TenantId, UserId};
    use uuid::Uuid;

    use super::*;
    use crate::ports::RATE_WINDOW;

    fn caller(user: u128) -> RateLimited {
        RateLimited { tenant_id: TenantId(Uuid::nil()), user_id: UserId(Uuid::from_u128(user)), route: "/v1/bookings" }
    }

    #[test]
    fn a_window_holds_its_limit_and_ends_after_a_minute() {
        let limiter = LocalRateLimiter::new(2, RATE_WINDOW);
        let at = |millis| limiter.count(caller(1), Timestamp::from_millis(millis)).expect("there is room");
        assert_eq!(at(0), Quota { limit: 2, remaining: 1, reset_seconds: 60, exceeded: false });
        assert_eq!(at(59_000), Quota { limit: 2, remaining: 0, reset_seconds: 1, exceeded: false });
        assert!(at(59_999).exceeded);
        assert_eq!(at(60_000), Quota { limit: 2, remaining: 1, reset_seconds: 60, exceeded: false });
    }

    #[test]
    fn memory_is_bounded_and_ended_windows_make_room() {
        let limiter = LocalRateLimiter::new(1, RATE_WINDOW);
        let flood = u128::try_from(WINDOWS_MAX).expect("fits");
        for user in 0..flood {
            assert!(limiter.count(caller(user), Timestamp::from_millis(0)).is_some());
        }
        assert_eq!(limiter.count(caller(flood), Timestamp::from_millis(1)), None);
        assert!(limiter.count(caller(flood), Timestamp::from_millis(60_000)).is_some());
        assert_eq!(limiter.lock().len(), 1);
    }
}
