use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::RedisError;
use tokio::runtime::Handle;

use super::{CopyKey, Redis, RedisAnswers, RedisRateLimiter, RedisSessions, RedisSettings};
use crate::in_process::{LocalAnswers, LocalRateLimiter, LocalSessions};
use crate::ports::{ANSWER_KEPT, Answers, RATE_WINDOW, RateLimiter, SESSION_KEPT, Sessions};

/// What servers share for a while.
pub struct Stores {
    pub sessions: Arc<dyn Sessions>,
    pub rate_limiter: Arc<dyn RateLimiter>,
    pub answers: Arc<dyn Answers>,
    /// `None` where none is configured.
    pub redis: Option<Arc<Redis>>,
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub requests_per_window: u32,
    pub window: Duration,
    pub session_kept: Duration,
    pub answer_kept: Duration,
}

impl Limits {
    pub fn per_minute(requests: u32) -> Limits {
        Limits {
            requests_per_window: requests,
            window: RATE_WINDOW,
            session_kept: SESSION_KEPT,
            answer_kept: ANSWER_KEPT,
        }
    }
}

impl Stores {
    /// Of this process alone.
    pub fn local(limits: Limits) -> Stores {
        Stores {
            sessions: Arc::new(LocalSessions::new(limits.session_kept)),
            rate_limiter: Arc::new(LocalRateLimiter::new(limits.requests_per_window, limits.window)),
            answers: Arc::new(LocalAnswers::new(limits.answer_kept)),
            redis: None,
        }
    }

    /// In Redis, which may be away now and later. Fails only if its address can't be one.
    pub async fn shared(settings: RedisSettings, limits: Limits, copy_key: CopyKey) -> Result<Stores, RedisError> {
        let io = Handle::current();
        let redis = Redis::start(settings, io.clone()).await?;
        Ok(Stores {
            sessions: Arc::new(RedisSessions::new(redis.clone(), limits.session_kept)),
            rate_limiter: Arc::new(RedisRateLimiter::new(redis.clone(), limits.requests_per_window, limits.window)),
            answers: Arc::new(RedisAnswers::start(redis.clone(), copy_key, limits.answer_kept, &io)),
            redis: Some(redis),
        })
    }
}
