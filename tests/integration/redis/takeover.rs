//! What happens to whoever asks while Redis is away, and how it comes back.

use std::time::{Duration, Instant};

use bb8_redis::redis::cmd;
use bytes::Bytes;
use codeccloud::clock::SystemClock;
use codeccloud::ports::RateLimited;
use codeccloud::redis::{Limits, RedisSettings, Stores};
use codeccloud_actors::ids::{CommandId, TenantId, UserId};
use codeccloud_actors::ports::{Clock, StoredAnswer};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{copy_key, settings, stores, until, until_in_use};
use crate::support::{RedisServer, TestDir};

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const USER: UserId = UserId(Uuid::from_u128(2));
const TIMEOUT: Duration = Duration::from_millis(300);

fn limits() -> Limits {
    Limits::per_minute(10)
}

/// With a probe that comes so seldom that it is requests which find out.
fn seldom_probed(redis: &RedisServer) -> RedisSettings {
    RedisSettings { timeout: TIMEOUT, probe_pause: Duration::from_secs(4), ..settings(redis) }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_costs_its_timeout_once() {
    let dir = TestDir::new();
    let redis = RedisServer::start(dir.path());
    let stores = stores(seldom_probed(&redis), limits()).await;
    stores.sessions.wrote(TENANT, USER, 5).await;
    assert_eq!(stores.sessions.last_write(TENANT, USER).await, Some(5));
    redis.hang();

    let began = Instant::now();
    join_all((0..50).map(|number| stores.sessions.wrote(TENANT, USER, 10 + number))).await;
    assert!(began.elapsed() >= TIMEOUT, "somebody has to find out");
    assert!(began.elapsed() < 3 * TIMEOUT, "those who wait, wait at once: {:?}", began.elapsed());
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(stores.sessions.last_write(TENANT, USER).await, Some(59), "this process knows");
        assert!(take(&stores).await.is_some());
        assert_eq!(stores.answers.recall(TENANT, "unknown", [0; 32]).await, None);
    }
    assert!(began.elapsed() < TIMEOUT, "the others wait for nothing: {:?}", began.elapsed());
    assert!(!stores.redis.as_ref().unwrap().is_in_use());

    redis.wake_up();
    until_in_use(&stores, true).await;
    stores.sessions.wrote(TENANT, USER, 60).await;
    let kept: String = redis.ask(cmd("GET").arg(format!("test:{TENANT}:last-write:{USER}")));
    assert_eq!(kept, "00000000000000000060");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_notices_that_it_dies_and_that_it_is_back() {
    let dir = TestDir::new();
    let mut redis = RedisServer::start(dir.path());
    let stores = stores(settings(&redis), limits()).await;
    assert!(stores.redis.as_ref().unwrap().is_in_use(), "from the start");
    for _ in 0..3 {
        redis.kill_9();
        until_in_use(&stores, false).await;
        redis.restart();
        until_in_use(&stores, true).await;
        // All connections are new, so nobody finds out with one of before that it was away.
        join_all((0..20).map(|_| stores.sessions.wrote(TENANT, USER, 1))).await;
        assert!(stores.redis.as_ref().unwrap().is_in_use());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_without_it_and_takes_it_up_later() {
    let dir = TestDir::new();
    let mut redis = RedisServer::absent(dir.path());
    let stores = stores(RedisSettings { connect_timeout: TIMEOUT, ..settings(&redis) }, limits()).await;
    assert!(!stores.redis.as_ref().unwrap().is_in_use());
    stores.sessions.wrote(TENANT, USER, 5).await;
    assert_eq!(stores.sessions.last_write(TENANT, USER).await, Some(5));
    redis.restart();
    until_in_use(&stores, true).await;
    assert_eq!(stores.sessions.last_write(TENANT, USER).await, Some(5), "what was written meanwhile still counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_only_answers_reads_is_away() {
    let dir = TestDir::new();
    let redis = RedisServer::start(dir.path());
    let stores = stores(settings(&redis), limits()).await;
    let memory = |bytes: &str| redis.ask::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes));
    memory("1");
    until_in_use(&stores, false).await;
    memory("0");
    until_in_use(&stores, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_reached_the_limit_does_not_begin_anew_when_it_dies() {
    let dir = TestDir::new();
    let mut redis = RedisServer::start(dir.path());
    let stores = stores(seldom_probed(&redis), limits()).await;
    for _ in 0..10 {
        assert!(!take(&stores).await.unwrap());
    }
    redis.kill_9();
    assert!(take(&stores).await.unwrap(), "this process has counted along");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_values_are_replaced_or_ignored() {
    let dir = TestDir::new();
    let redis = RedisServer::start(dir.path());
    let (one, other) = (stores(settings(&redis), limits()).await, stores(settings(&redis), limits()).await);
    let (write, rate) = (format!("test:{TENANT}:last-write:{USER}"), format!("test:{TENANT}:rate:{USER}:/v1/bookings"));
    let list = |key: &String| redis.ask::<()>(cmd("RPUSH").arg(key).arg("x"));
    let text = |key: &String, value: &str| redis.ask::<()>(cmd("SET").arg(key).arg(value));
    list(&write);
    assert_eq!(other.sessions.last_write(TENANT, USER).await, None);
    for _ in 0..2 {
        one.sessions.wrote(TENANT, USER, 7).await;
        assert_eq!(other.sessions.last_write(TENANT, USER).await, Some(7));
        text(&write, "soon");
        assert_eq!(other.sessions.last_write(TENANT, USER).await, None);
    }
    list(&rate);
    // The limit, for ever; more than any server lets through; what is no count at all.
    for value in ["10", "1000000", "-1", "0.5", "nan", "many"] {
        assert!(!take(&one).await.unwrap());
        assert!((1..=60_000).contains(&redis.ask::<i64>(cmd("PTTL").arg(&rate))));
        text(&rate, value);
    }
    assert!(!take(&one).await.unwrap());

    let (key, hash) = ("a key of a client", [7; 32]);
    one.answers.remember(TENANT, key, stored());
    until("the answer", async || other.answers.recall(TENANT, key, hash).await.is_some()).await;
    let kept = format!("test:{TENANT}:answer:{key}");
    let copy: Vec<u8> = redis.ask(cmd("GET").arg(&kept));
    let stranger = Stores::shared(settings(&redis), limits(), copy_key(2)).await.unwrap();
    assert_eq!(stranger.answers.recall(TENANT, key, hash).await, None, "signed with another key");
    redis.ask::<()>(cmd("SET").arg(format!("test:{TENANT}:answer:moved")).arg(copy));
    assert_eq!(other.answers.recall(TENANT, "moved", hash).await, None, "it belongs to another key");
    text(&kept, "{\"status\":201}");
    assert_eq!(other.answers.recall(TENANT, key, hash).await, None);
    let _: i64 = redis.ask(cmd("DEL").arg(&kept));
    list(&kept);
    assert_eq!(other.answers.recall(TENANT, key, hash).await, None);
    assert_eq!(one.answers.recall(TENANT, key, hash).await, Some(stored()), "its own server needs no Redis for it");
    assert!(
        [one, other, stranger].iter().all(|stores| stores.redis.as_ref().unwrap().is_in_use()),
        "no reason to leave"
    );
}

/// Whether it was one too many.
async fn take(stores: &Stores) -> Option<bool> {
    let caller = RateLimited { tenant_id: TENANT, user_id: USER, route: "/v1/bookings" };
    stores.rate_limiter.take(caller, SystemClock.now()).await.map(|quota| quota.exceeded)
}

fn stored() -> StoredAnswer {
    StoredAnswer {
        command_id: CommandId(Uuid::from_u128(3)),
        request_hash: [7; 32],
        status: 201,
        answer: Bytes::from_static(b"sealed"),
        sealed_for: None,
        transaction_id: 4,
    }
}
