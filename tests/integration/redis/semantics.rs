//! The same promises, kept in this process and in Redis: one suite, run against both.

use std::time::{Duration, Instant};

use bb8_redis::redis::cmd;
use bytes::Bytes;
use codeccloud::clock::SystemClock;
use codeccloud::ports::{ANSWER_BYTES_MAX, Quota, RateLimited};
use codeccloud::redis::{Limits, Stores};
use codeccloud_actors::ids::{CommandId, CustomerId, TenantId, UserId};
use codeccloud_actors::ports::{Clock, StoredAnswer};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{settings, stores, until};
use crate::support::{RedisServer, TestDir};

const LIMITS: Limits = Limits {
    requests_per_window: 5,
    window: Duration::from_secs(3),
    session_kept: Duration::from_secs(1),
    answer_kept: Duration::from_secs(1),
};

#[tokio::test(flavor = "multi_thread")]
async fn this_process_keeps_the_promises() {
    let stores = Stores::local(LIMITS);
    suite(&stores, &stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_the_promises_across_servers() {
    let dir = TestDir::new();
    let redis = RedisServer::start(dir.path());
    let (one, other) = (stores(settings(&redis), LIMITS).await, stores(settings(&redis), LIMITS).await);
    suite(&one, &other).await;
    suite(&one, &one).await;
    limit_users(&one, &other).await;
    assert!(one.redis.unwrap().is_in_use() && other.redis.unwrap().is_in_use(), "or it was nothing that Redis did");
    let keys = redis.keys();
    assert!(keys.iter().any(|key| key.contains(":rate:")), "{keys:?}");
    for key in keys.iter().filter(|key| *key != "test:probe") {
        assert!(
            key.starts_with(&format!("test:{}:", tenant(1).0)) || key.starts_with(&format!("test:{}:", tenant(2).0))
        );
        // -2: it has expired meanwhile.
        let left: i64 = redis.ask(cmd("PTTL").arg(key));
        assert_ne!(left, -1, "{key} never expires");
    }
}

/// What `one` server is told, `the_other` knows.
async fn suite(one: &Stores, the_other: &Stores) {
    remember_last_writes(one, the_other).await;
    limit_users(one, the_other).await;
    remember_answers(one, the_other).await;
}

async fn remember_last_writes(one: &Stores, the_other: &Stores) {
    let user = UserId(fresh());
    assert_eq!(the_other.sessions.last_write(tenant(1), user).await, None);
    for transaction_id in [9, 10, u64::MAX, 8] {
        one.sessions.wrote(tenant(1), user, transaction_id).await;
    }
    let told = Instant::now();
    assert_eq!(the_other.sessions.last_write(tenant(1), user).await, Some(u64::MAX), "the latest counts");
    assert_eq!(the_other.sessions.last_write(tenant(2), user).await, None, "another tenant's user");
    assert_eq!(the_other.sessions.last_write(tenant(1), UserId(fresh())).await, None);
    until("the end of a session", async || the_other.sessions.last_write(tenant(1), user).await.is_none()).await;
    assert!(told.elapsed() > LIMITS.session_kept / 2, "{:?}", told.elapsed());
    one.sessions.wrote(tenant(1), user, 3).await;
    assert_eq!(the_other.sessions.last_write(tenant(1), user).await, Some(3), "what came before is forgotten");
}

async fn limit_users(one: &Stores, the_other: &Stores) {
    let caller = caller(tenant(1));
    let began = Instant::now();
    assert_eq!(take(one, caller).await, Quota { limit: 5, remaining: 4, reset_seconds: 3, exceeded: false });
    let all = join_all((0..40).map(|n| take(if n % 2 == 0 { one } else { the_other }, caller))).await;
    assert!(began.elapsed() < LIMITS.window, "too slow to say anything");
    let mut remaining: Vec<u32> = all.iter().filter(|quota| !quota.exceeded).map(|quota| quota.remaining).collect();
    remaining.sort_unstable();
    assert_eq!(remaining, [0, 1, 2, 3], "as many as there were places, each once");
    assert!(all.iter().filter(|quota| quota.exceeded).all(|quota| quota.remaining == 0 && quota.reset_seconds > 0));

    let elsewhere = RateLimited { tenant_id: tenant(2), ..caller };
    let other_route = RateLimited { route: "/v1/invoices/generate", ..caller };
    for other in [elsewhere, other_route, self::caller(tenant(1))] {
        assert_eq!(take(the_other, other).await.remaining, 4, "{other:?} has its own");
    }
    until("a fresh window", async || !take(the_other, caller).await.exceeded).await;
    assert!(began.elapsed() > LIMITS.window * 9 / 10, "{:?}", began.elapsed());
    assert_eq!(take(one, caller).await.remaining, 3);
}

async fn remember_answers(one: &Stores, the_other: &Stores) {
    let (key, hash) = (fresh().to_string(), [7; 32]);
    assert_eq!(the_other.answers.recall(tenant(1), &key, hash).await, None);
    for sealed_for in [None, Some(CustomerId(fresh()))] {
        let answer = answer(sealed_for, b"{\"booking\":1}");
        one.answers.remember(tenant(1), &key, answer.clone());
        // Written behind the back of whoever has a request to answer.
        let answer = Some(answer);
        until("the answer", async || the_other.answers.recall(tenant(1), &key, hash).await == answer).await;
    }
    assert_eq!(the_other.answers.recall(tenant(1), &key, [8; 32]).await, None, "another request");
    assert_eq!(the_other.answers.recall(tenant(2), &key, hash).await, None, "another tenant's key");
    assert_eq!(the_other.answers.recall(tenant(1), "another key", hash).await, None);

    let large = fresh().to_string();
    one.answers.remember(tenant(1), &large, answer(None, &[b' '; ANSWER_BYTES_MAX + 1]));
    until("the end of an answer", async || the_other.answers.recall(tenant(1), &key, hash).await.is_none()).await;
    assert_eq!(the_other.answers.recall(tenant(1), &large, hash).await, None, "too large to be remembered");
}

async fn take(stores: &Stores, caller: RateLimited) -> Quota {
    stores.rate_limiter.take(caller, SystemClock.now()).await.unwrap()
}

fn caller(tenant_id: TenantId) -> RateLimited {
    RateLimited { tenant_id, user_id: UserId(fresh()), route: "/v1/bookings" }
}

fn answer(sealed_for: Option<CustomerId>, body: &[u8]) -> StoredAnswer {
    StoredAnswer {
        command_id: CommandId(fresh()),
        request_hash: [7; 32],
        status: 201,
        answer: Bytes::copy_from_slice(body),
        sealed_for,
        transaction_id: 42,
    }
}

fn tenant(number: u128) -> TenantId {
    TenantId(Uuid::from_u128(number))
}

fn fresh() -> Uuid {
    use codeccloud_actors::ports::Ids;
    codeccloud::clock::SystemIds.uuid()
}
