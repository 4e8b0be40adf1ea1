use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::pipe;
use codeccloud_actors::ids::{TenantId, UserId};
use futures_util::future::BoxFuture;

use super::{Redis, millis};
use crate::in_process::LocalSessions;
use crate::ports::Sessions;

/// Keeps the later of two transactions. As texts of equal length, since Lua's numbers are floats; what isn't such a text is
/// none of ours, and is replaced.
const NOTE: &str = "
local known = redis.pcall('GET', KEYS[1])
local write = ARGV[1]
if type(known) == 'string' and #known == #write and known > write then write = known end
redis.call('SET', KEYS[1], write, 'PX', ARGV[2])";

/// Digits of the largest number that a transaction can have.
const DIGITS: usize = 20;

/// This process keeps what it has written itself, in any case: when Redis loses it, or is back, reads here still wait.
pub struct RedisSessions {
    redis: Arc<Redis>,
    kept: Duration,
    here: LocalSessions,
}

impl RedisSessions {
    pub fn new(redis: Arc<Redis>, kept: Duration) -> RedisSessions {
        RedisSessions { redis, kept, here: LocalSessions::new(kept) }
    }

    fn key(&self, tenant_id: TenantId, user_id: UserId) -> String {
        self.redis.key(tenant_id, "last-write", &user_id)
    }

    async fn elsewhere(&self, tenant_id: TenantId, user_id: UserId) -> Option<u64> {
        let mut commands = pipe();
        commands.cmd("GET").arg(self.key(tenant_id, user_id));
        let (found,): (Option<Vec<u8>>,) = self.redis.ask(&commands).await?;
        std::str::from_utf8(&found?).ok()?.parse().ok()
    }
}

impl Sessions for RedisSessions {
    fn wrote(&self, tenant_id: TenantId, user_id: UserId, transaction_id: u64) -> BoxFuture<'_, ()> {
        self.here.note(tenant_id, user_id, transaction_id);
        Box::pin(async move {
            let mut commands = pipe();
            commands.cmd("EVAL").arg(NOTE).arg(1).arg(self.key(tenant_id, user_id));
            commands.arg(format!("{transaction_id:0DIGITS$}")).arg(millis(self.kept)).ignore();
            let _: Option<()> = self.redis.ask(&commands).await;
        })
    }

    fn last_write(&self, tenant_id: TenantId, user_id: UserId) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async move { self.elsewhere(tenant_id, user_id).await.max(self.here.find(tenant_id, user_id)) })
    }
}
