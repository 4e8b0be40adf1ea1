//! Rate limits of two servers, and what is left of them without Redis.

use codeccloud::postgres::embedded;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::until;
use crate::support::{RedisServer, Salon, Server, TestDir, command_beside, token};

const LIMIT: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_over_all_servers_and_without_redis_on_each() {
    let dir = TestDir::new();
    let mut redis = RedisServer::start(dir.path());
    let founder = Server::start(dir.path());
    founder.ready().await;
    // Without `REDIS_URL` there is nothing that could be missing.
    until_healthy(&founder, &Value::Null).await;
    let salon = founder.salon(dir.path()).await;
    let (database_url, url) = (embedded::url_of(dir.path()).unwrap(), redis.url());
    let environment = [
        ("REDIS_URL", url.as_str()),
        ("CODECCLOUD_REDIS_TIMEOUT_MS", "3000"),
        ("CODECCLOUD_REDIS_PROBE_PAUSE_MS", "50"),
        ("CODECCLOUD_RATE_LIMIT_REQUESTS_PER_MINUTE", "10"),
    ];
    let both = [(); 2].map(|()| Server::without_demo(command_beside(&database_url, dir.path(), &environment)));
    for server in &both {
        server.ready().await;
        until_healthy(server, &Value::Null).await;
    }
    let somebody = || Salon { token: token(dir.path(), &salon.tenant_id, "service"), ..salon.clone() };

    let (early, late) = (somebody(), somebody());
    assert_eq!(admitted(&both, &early, 15).await, LIMIT, "over both servers");
    assert_eq!(admitted(&both, &late, 2).await, 4);
    redis.flush_all();
    assert_eq!(admitted(&both, &late, 15).await, LIMIT, "as many again each time that the counts are lost");

    redis.kill_9();
    for server in &both {
        until_healthy(server, &json!(["redis"])).await;
        assert!(metrics(server).await.contains("codeccloud_redis_in_use 0"));
    }
    assert_eq!(admitted(&both, &somebody(), 15).await, both.len() * LIMIT, "on each server");
    // Each server has counted along, and lets in what it has not let in before.
    assert_eq!(admitted(&both, &early, 15).await, LIMIT, "of twice the limit, the rest");

    redis.restart();
    for server in &both {
        until_healthy(server, &Value::Null).await;
        let metrics = metrics(server).await;
        assert!(metrics.contains("codeccloud_redis_in_use 1") && metrics.contains("codeccloud_redis_losses_total 1"));
    }
    assert_eq!(admitted(&both, &somebody(), 15).await, LIMIT, "over both servers, as before");
}

/// How many of that many requests to each server passed. All that were refused say when to come again.
async fn admitted(servers: &[Server], salon: &Salon, each: usize) -> usize {
    let replies = servers.iter().flat_map(|server| (0..each).map(move |_| ask(server, salon)));
    let replies = join_all(replies).await;
    for (status, [limit, remaining, reset, retry_after]) in &replies {
        assert_eq!(limit.as_deref(), Some("10"));
        assert!(reset.is_some(), "{replies:?}");
        match status {
            200 => assert_eq!(retry_after, &None),
            429 => assert_eq!((remaining.as_deref(), retry_after), (Some("0"), reset)),
            other => panic!("{other}"),
        }
    }
    replies.iter().filter(|(status, _)| *status == 200).count()
}

async fn ask(server: &Server, salon: &Salon) -> (u16, [Option<String>; 4]) {
    let path = format!(
        "{}/v1/bookings/availability?serviceId={}&from=2031-06-02T00:00:00Z&to=2031-06-02T12:00:00Z",
        server.url, salon.service_id
    );
    let request = server.client.get(path).bearer_auth(&salon.token).header("X-Workspace-ID", &salon.tenant_id);
    let answer = request.send().await.unwrap();
    let headers = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"]
        .map(|name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()));
    (answer.status().as_u16(), headers)
}

/// Always fit to serve, be Redis there or not.
async fn until_healthy(server: &Server, degraded: &Value) {
    until(&format!("degraded: {degraded}"), async || {
        let answer = server.client.get(format!("{}/health/ready", server.url)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let health: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(health["status"], "ok");
        health["degraded"] == *degraded
    })
    .await;
}

async fn metrics(server: &Server) -> String {
    server.client.get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap()
}
