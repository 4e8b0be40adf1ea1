//! How often a user may call a route. The limit protects the salon's other users, so it fails open: whoever can't be
//! counted passes.

use std::collections::HashMap;
use std::sync::Mutex;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use codeccloud_actors::ids::{TenantId, UserId};
use codeccloud_actors::time::{MINUTE_MS, Timestamp};
use futures_util::future::{BoxFuture, ready};

use super::problem::{Problem, Slug};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Some 100 bytes each: what a million users an hour need, and no more than a flood of made-up ones can take.
const WINDOWS_MAX: usize = 100_000;

pub trait RateLimiter: Send + Sync + 'static {
    /// Counts one request; `None` when it can't be counted.
    fn take(&self, caller: RateLimited, now: Timestamp) -> BoxFuture<'_, Option<Quota>>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimited {
    pub tenant_id: TenantId,
    pub user_id: UserId,
    /// Its path in the route table.
    pub route: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub limit: u32,
    pub remaining: u32,
    pub reset_seconds: u32,
    pub exceeded: bool,
}

impl Quota {
    pub fn write_to(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.reset_seconds));
    }

    pub fn check(self) -> Result<(), Problem> {
        if !self.exceeded {
            return Ok(());
        }
        let detail = format!("more than {} requests a minute; try again in {} s", self.limit, self.reset_seconds);
        Err(Problem::new(Slug::RateLimited, detail).with_header(header::RETRY_AFTER, self.reset_seconds.into()))
    }
}

/// Counts in this process. A window begins with a caller's first request, so that no clock's full minute lets twice as
/// many through.
pub struct LocalRateLimiter {
    per_minute: u32,
    windows: Mutex<HashMap<RateLimited, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    ends: Timestamp,
    used: u32,
}

impl LocalRateLimiter {
    pub fn new(per_minute: u32) -> LocalRateLimiter {
        LocalRateLimiter { per_minute, windows: Mutex::default() }
    }

    fn count(&self, caller: RateLimited, now: Timestamp) -> Option<Quota> {
        let mut windows = self.windows.lock().expect("nothing panics under this lock");
        if windows.len() >= WINDOWS_MAX && !windows.contains_key(&caller) {
            windows.retain(|_, window| now < window.ends);
            if windows.len() >= WINDOWS_MAX {
                return None;
            }
        }
        let fresh = Window { ends: now.plus_millis(MINUTE_MS), used: 0 };
        let window = windows.entry(caller).or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        let exceeded = window.used >= self.per_minute;
        window.used += u32::from(!exceeded);
        let millis_left = u32::try_from(window.ends.as_millis() - now.as_millis()).expect("at most a minute");
        Some(Quota {
            limit: self.per_minute,
            remaining: self.per_minute - window.used,
            reset_seconds: millis_left.div_ceil(1_000),
            exceeded,
        })
    }
}

impl RateLimiter for LocalRateLimiter {
    fn take(&self, caller: RateLimited, now: Timestamp) -> BoxFuture<'_, Option<Quota>> {
        Box::pin(ready(self.count(caller, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn caller(user: u128) -> RateLimited {
        RateLimited { tenant_id: TenantId(Uuid::nil()), user_id: UserId(Uuid::from_u128(user)), route: "/v1/bookings" }
    }

    #[test]
    fn a_window_holds_its_limit_and_ends_after_a_minute() {
        let limiter = LocalRateLimiter::new(2);
        let at = |millis| limiter.count(caller(1), Timestamp::from_millis(millis)).expect("there is room");
        assert_eq!(at(0), Quota { limit: 2, remaining: 1, reset_seconds: 60, exceeded: false });
        assert_eq!(at(59_000), Quota { limit: 2, remaining: 0, reset_seconds: 1, exceeded: false });
        assert!(at(59_999).exceeded);
        assert_eq!(at(60_000), Quota { limit: 2, remaining: 1, reset_seconds: 60, exceeded: false });
    }

    #[test]
    fn memory_is_bounded_and_ended_windows_make_room() {
        let limiter = LocalRateLimiter::new(1);
        let flood = u128::try_from(WINDOWS_MAX).expect("fits");
        for user in 0..flood {
            assert!(limiter.count(caller(user), Timestamp::from_millis(0)).is_some());
        }
        assert_eq!(limiter.count(caller(flood), Timestamp::from_millis(1)), None);
        assert!(limiter.count(caller(flood), Timestamp::from_millis(60_000)).is_some());
        assert_eq!(limiter.windows.lock().expect("not poisoned").len(), 1);
    }
}
