//! What servers share for a while, in Redis: users' last writes, rate limits, answers for retries. Nothing that matters is
//! in there alone, so it may be slow, lose everything, or go away: this process takes over at once, and hands back when
//! Redis answers again.
//!
//! To keep one more thing: a port with what it promises, its way in this process in [`crate::in_process`], a type here that
//! asks Redis and falls back on that one, a line in [`Stores`], and a case in the tests that both have to pass. Every key
//! begins with the prefix and the tenant, and every key expires.

mod answers;
mod connections;
mod copy;
mod link;
mod rate_limiter;
mod sessions;
mod stores;

use std::fmt::Display;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bb8_redis::bb8::{Pool, RunError};
use bb8_redis::redis::{FromRedisValue, Pipeline, RedisError, pipe};
use codeccloud_actors::ids::TenantId;
use tokio::runtime::Handle;
use tokio::time::timeout;

pub use answers::RedisAnswers;
pub use copy::CopyKey;
pub use rate_limiter::RedisRateLimiter;
pub use sessions::RedisSessions;
pub use stores::{Limits, Stores};

use connections::Connections;
use link::{Link, Turn};

/// Not to be printed: the URL holds a password.
#[derive(Clone)]
pub struct RedisSettings {
    pub url: String,
    /// Begins every key, so that deployments can share a Redis.
    pub key_prefix: String,
    pub pool_size: u32,
    /// That a request may wait for an answer.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// Between two looks whether Redis is there.
    pub probe_pause: Duration,
}

/// A Redis, for as long as it answers in time. Whoever waits in vain switches it off for everybody, so that one that hangs
/// costs its timeout once; only the probe, which no request waits for, switches it on again.
pub struct Redis {
    pool: Pool<Connections>,
    link: Arc<Link>,
    settings: RedisSettings,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no answer in time")]
    Slow,
    #[error("{0}")]
    Failed(RedisError),
    /// Somebody has put another kind of value where one of ours belongs.
    #[error("a foreign value: {0}")]
    Foreign(RedisError),
}

impl Redis {
    /// Returns once it is known whether Redis is there. It is looked after until it is dropped; connections live on `io`.
    pub async fn start(settings: RedisSettings, io: Handle) -> Result<Arc<Redis>, RedisError> {
        let link = Arc::new(Link::default());
        let connections = Connections::new(&settings, Arc::clone(&link), io.clone())?;
        let pool = Pool::builder()
            .max_size(settings.pool_size)
            .connection_timeout(settings.connect_timeout)
            .build_unchecked(connections);
        let redis = Arc::new(Redis { pool, link, settings });
        redis.probe().await;
        io.spawn(look_after(Arc::downgrade(&redis), redis.settings.probe_pause));
        Ok(redis)
    }

    /// Otherwise this process keeps what belongs there.
    pub fn is_in_use(&self) -> bool {
        self.link.now().is_up()
    }

    /// `None` when this process has to do without, be it because Redis is away, or because it has just turned out to be.
    async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Option<T> {
        let turn = self.link.now();
        if !turn.is_up() {
            return None;
        }
        let asking = async { self.put(commands, self.pool.get().await?).await };
        match timeout(self.settings.timeout, asking).await.unwrap_or(Err(Failure::Slow)) {
            Ok(answer) => Some(answer),
            Err(foreign @ Failure::Foreign(_)) => {
                tracing::debug!(reason = %foreign, "Redis was asked in vain");
                None
            }
            Err(failure @ (Failure::Slow | Failure::Failed(_))) => {
                self.lost(turn, &failure);
                None
            }
        }
    }

    /// A write, since a replica, or a Redis that is full, would answer reads only. Connecting may take longer than a request
    /// may wait, answering may not.
    async fn probe(&self) {
        let turn = self.link.now();
        let mut commands = pipe();
        let expires_ms = millis(self.settings.probe_pause);
        commands
            .cmd("SET")
            .arg(format!("{}:probe", self.settings.key_prefix))
            .arg(1)
            .arg("PX")
            .arg(expires_ms)
            .ignore();
        let probing = async {
            let connection = self.pool.get().await?;
            timeout(self.settings.timeout, self.put::<()>(&commands, connection)).await.unwrap_or(Err(Failure::Slow))
        };
        match timeout(self.settings.connect_timeout, probing).await.unwrap_or(Err(Failure::Slow)) {
            Ok(()) if self.link.found(turn) => tracing::info!("Redis answers: servers share their state in it"),
            Ok(()) => {}
            Err(failure) => self.lost(turn, &failure),
        }
    }

    async fn put<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        mut connection: bb8_redis::bb8::PooledConnection<'_, Connections>,
    ) -> Result<T, Failure> {
        Ok(commands.query_async(&mut connection.redis).await?)
    }

    fn lost(&self, turn: Turn, reason: &dyn Display) {
        if self.link.lost(turn) {
            tracing::warn!(%reason, "Redis is away: this process keeps what servers share until it answers again");
        }
    }

    fn key(&self, tenant_id: TenantId, what: &str, whose: &dyn Display) -> String {
        format!("{}:{tenant_id}:{what}:{whose}", self.settings.key_prefix)
    }
}

/// An idle server too says whether Redis is there.
async fn look_after(redis: Weak<Redis>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(redis) = redis.upgrade() else { return };
        redis.probe().await;
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Failure {
        let refused = error.clone().into_server_errors();
        let foreign = refused.is_some_and(|errors| errors.iter().all(|(_, error)| error.code() == "WRONGTYPE"));
        if foreign { Failure::Foreign(error) } else { Failure::Failed(error) }
    }
}

impl From<RunError<RedisError>> for Failure {
    fn from(error: RunError<RedisError>) -> Failure {
        match error {
            RunError::User(error) => Failure::Failed(error),
            RunError::TimedOut => Failure::Slow,
        }
    }
}

/// Redis takes times to live as whole milliseconds, and none at all is an error.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}
