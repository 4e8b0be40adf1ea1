use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::pipe;
use codeccloud_actors::time::Timestamp;
use futures_util::future::BoxFuture;

use super::{Redis, millis};
use crate::in_process::LocalRateLimiter;
use crate::ports::{Quota, RateLimited, RateLimiter};

/// Counts one request unless the limit is reached, and returns how many there were before and how many milliseconds are
/// left. What is no count of ours, or has another end than a window of ours can have, makes way for a fresh window. As a
/// whole or not at all: Redis runs nothing beside a script.
const TAKE: &str = "
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local found = redis.pcall('GET', KEYS[1])
local used = type(found) == 'string' and tonumber(found) or nil
local left = redis.call('PTTL', KEYS[1])
if not (used and used >= 0 and used <= limit and used % 1 == 0 and left > 0 and left <= window) then
    used, left = 0, window
end
if used < limit then redis.call('SET', KEYS[1], used + 1, 'PX', left) end
return {used, left}";

/// This process counts along, so that whoever has reached the limit when Redis goes away does not begin anew.
///
/// While all is well the limit holds exactly, over all servers. In a window in which Redis was away, each server lets the
/// limit through at most, and as many again each time that Redis has lost its counts.
pub struct RedisRateLimiter {
    redis: Arc<Redis>,
    limit: u32,
    window: Duration,
    here: LocalRateLimiter,
}

impl RedisRateLimiter {
    pub fn new(redis: Arc<Redis>, limit: u32, window: Duration) -> RedisRateLimiter {
        RedisRateLimiter { redis, limit, window, here: LocalRateLimiter::new(limit, window) }
    }

    async fn everywhere(&self, caller: RateLimited) -> Option<Quota> {
        let RateLimited { tenant_id, user_id, route } = caller;
        let key = self.redis.key(tenant_id, "rate", &format_args!("{user_id}:{route}"));
        let mut commands = pipe();
        commands.cmd("EVAL").arg(TAKE).arg(1).arg(key).arg(self.limit).arg(millis(self.window));
        let ((used, left_ms),): ((u32, u64),) = self.redis.ask(&commands).await?;
        let exceeded = used >= self.limit;
        let used = used.saturating_add(u32::from(!exceeded));
        Some(Quota::of(self.limit, used, Duration::from_millis(left_ms), exceeded))
    }
}

impl RateLimiter for RedisRateLimiter {
    fn take(&self, caller: RateLimited, now: Timestamp) -> BoxFuture<'_, Option<Quota>> {
        Box::pin(async move {
            let everywhere = self.everywhere(caller).await;
            match everywhere {
                Some(refused) if refused.exceeded => everywhere,
                Some(_) => {
                    self.here.count(caller, now);
                    everywhere
                }
                None => self.here.count(caller, now),
            }
        })
    }
}
