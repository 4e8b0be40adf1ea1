//! What servers share in Redis, with a real one that is killed, hung, restarted and emptied.

mod limits;
mod load;
mod semantics;
mod takeover;

use std::time::{Duration, Instant};

use codeccloud::redis::{CopyKey, Limits, RedisSettings, Stores};
use codeccloud::vault::{MasterKey, MasterKeys};

use crate::support::RedisServer;

/// Longer than a machine that is busy with other tests takes to answer.
const PATIENT: Duration = Duration::from_secs(5);

fn settings(redis: &RedisServer) -> RedisSettings {
    RedisSettings {
        url: redis.url(),
        key_prefix: "test".to_owned(),
        pool_size: 4,
        timeout: PATIENT,
        connect_timeout: PATIENT,
        probe_pause: Duration::from_millis(50),
    }
}

async fn stores(settings: RedisSettings, limits: Limits) -> Stores {
    Stores::shared(settings, limits, copy_key(1)).await.unwrap()
}

fn copy_key(byte: u8) -> CopyKey {
    CopyKey::new(MasterKeys::new(MasterKey::new("1", [byte; 32]), Vec::new()).unwrap().copies())
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_in_use(stores: &Stores, in_use: bool) {
    let redis = stores.redis.as_ref().unwrap();
    until(&format!("Redis in use: {in_use}"), async || redis.is_in_use() == in_use).await;
}
