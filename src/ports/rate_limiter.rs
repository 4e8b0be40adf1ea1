use std::time::Duration;

use codeccloud_actors::ids::{TenantId, UserId};
use codeccloud_actors::time::Timestamp;
use futures_util::future::BoxFuture;

/// What limits are counted in. It begins with a caller's first request, so that no clock's full minute lets twice as many
/// through.
pub const RATE_WINDOW: Duration = Duration::from_secs(60);

/// How often a user may call a route. The limit protects the salon's other users, so it fails open: whoever can't be
/// counted passes.
pub trait RateLimiter: Send + Sync + 'static {
    /// Counts one request, unless it is one too many; `None` when it can't be counted.
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
    /// Of a window with `used` requests, which has `left` to go.
    pub fn of(limit: u32, used: u32, left: Duration, exceeded: bool) -> Quota {
        let reset_seconds = left.as_millis().div_ceil(1_000).try_into().unwrap_or(u32::MAX);
        Quota { limit, remaining: limit.saturating_sub(used), reset_seconds, exceeded }
    }
}
