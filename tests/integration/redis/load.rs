//! Two real servers on one database and one Redis, under load.

use std::time::{Duration, Instant};

use codeccloud::postgres::embedded;
use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::Value;

use crate::support::{Mode, RedisServer, Reply, Salon, Server, TestDir, command_beside, connect, in_both_modes, key};

in_both_modes!(
    a_read_on_another_server_sees_the_same_users_write,
    a_retry_on_another_server_is_answered_by_redis,
    nothing_is_booked_twice_whatever_becomes_of_redis
);

const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// Feeds that lag, and reads that wait for as long as it takes.
const LAGGING: [(&str, &str); 4] = [
    ("CODECCLOUD_FEED_COALESCE_MS", "500"),
    ("CODECCLOUD_FEED_POLL_MS", "2000"),
    ("CODECCLOUD_PROJECTIONS_READ_YOUR_WRITES_MS", "8000"),
    ("CODECCLOUD_REDIS_TIMEOUT_MS", "5000"),
];

struct Servers {
    dir: TestDir,
    redis: RedisServer,
    both: [Server; 2],
    salon: Salon,
}

impl Servers {
    async fn start(mode: Mode, environment: &[(&str, &str)]) -> Servers {
        let dir = TestDir::new();
        let redis = RedisServer::start(dir.path());
        let url = redis.url();
        let environment = [&[mode.feature(), ("REDIS_URL", url.as_str())], environment].concat();
        let first = Server::start_with(dir.path(), &environment);
        let database_url = embedded::url_of(dir.path()).unwrap();
        let second = Server::of(command_beside(&database_url, dir.path(), &environment));
        first.ready().await;
        second.ready().await;
        let salon = first.salon(dir.path()).await;
        Servers { dir, redis, both: [first, second], salon }
    }

    /// Sent to the servers in turn. Each is answered before the server would have to give up.
    async fn book_at_once(&self, requests: &[(String, Value)]) -> Vec<Reply> {
        let booking = requests.iter().zip(self.both.iter().cycle()).map(async |((key, body), server)| {
            let began = Instant::now();
            let reply = server.post(&self.salon, "/v1/bookings", key, body).await;
            assert!(began.elapsed() < REQUEST_TIMEOUT, "{:?}: {}", began.elapsed(), reply.text);
            reply
        });
        join_all(booking).await
    }
}

async fn a_read_on_another_server_sees_the_same_users_write(mode: Mode) {
    let Servers { dir: _dir, redis: _redis, both: [first, second], salon } = Servers::start(mode, &LAGGING).await;
    for number in 0..6 {
        let created = first.post(&salon, "/v1/bookings", &key(), &salon.booking(0, 0, number)).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let listed = second.get(&salon, "/v1/bookings?from=2031-01-01T00:00:00Z&limit=200").await;
        let id = created.json()["booking"]["id"].take();
        let seen = listed.json().as_array().unwrap().iter().any(|booking| booking["id"] == id);
        assert!(seen, "booking {number} is missing: {}", listed.text);
    }
}

async fn a_retry_on_another_server_is_answered_by_redis(mode: Mode) {
    let Servers { dir, redis, both: [first, second], salon } =
        Servers::start(mode, &[("CODECCLOUD_REDIS_TIMEOUT_MS", "5000")]).await;
    let (key, body) = (key(), salon.booking(0, 0, 0));
    let created = first.post(&salon, "/v1/bookings", &key, &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    super::until("the copy", async || redis.keys().iter().any(|name| name.ends_with(&key))).await;
    let copy: Vec<u8> =
        redis.ask(bb8_redis::redis::cmd("GET").arg(format!("codeccloud:{}:answer:{key}", salon.tenant_id)));
    for personal in ["anna@example.ch", "Muster"] {
        assert!(created.text.contains(personal));
        assert!(
            !copy.windows(personal.len()).any(|bytes| bytes == personal.as_bytes()),
            "{personal} is in plain sight"
        );
    }
    let conflict = second.post(&salon, "/v1/bookings", &key, &salon.booking(0, 0, 1)).await;
    assert_eq!(conflict.status, 409, "{}", conflict.text);
    assert!(conflict.text.contains("idempotency-conflict"), "{}", conflict.text);

    // Nor is the row asked: without it, the command would be decided again.
    let superuser = connect(&embedded::superuser_url_of(dir.path()).unwrap()).await;
    let forgotten = superuser.execute("DELETE FROM idempotency_keys WHERE key = $1", &[&key]).await.unwrap();
    assert_eq!(forgotten, 1);
    let replayed = second.post(&salon, "/v1/bookings", &key, &body).await;
    assert_eq!((replayed.status, replayed.replayed.as_deref(), &replayed.text), (201, Some("true"), &created.text));
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Killed,
    Restarted,
    Hung,
    WokenUp,
    Emptied,
}

impl Fault {
    /// In the midst of what goes on meanwhile.
    async fn happen(self, redis: &mut RedisServer) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        match self {
            Fault::Killed => redis.kill_9(),
            Fault::Restarted => redis.restart(),
            Fault::Hung => redis.hang(),
            Fault::WokenUp => redis.wake_up(),
            Fault::Emptied => {
                for _ in 0..20 {
                    redis.flush_all();
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
}

async fn nothing_is_booked_twice_whatever_becomes_of_redis(mode: Mode) {
    let timeout_ms = REQUEST_TIMEOUT.as_millis().to_string();
    let mut servers = Servers::start(mode, &[("CODECCLOUD_SERVER_REQUEST_TIMEOUT_MS", &timeout_ms)]).await;
    let faults = [Fault::Emptied, Fault::Killed, Fault::Restarted, Fault::Hung, Fault::WokenUp, Fault::Emptied];
    let mut made = Vec::new();
    for (day, fault) in (0..).zip(faults) {
        let same = (key(), servers.salon.booking(0, day, 0));
        let wanted = servers.salon.booking(1, day, 0);
        // One request a hundred times, and among them others that all want one slot.
        let mut requests = Vec::new();
        for number in 0..100 {
            requests.push(same.clone());
            if number % 4 == 0 {
                requests.push((key(), wanted.clone()));
            }
        }
        let mut redis = std::mem::replace(&mut servers.redis, RedisServer::absent(servers.dir.path()));
        let (replies, ()) = join(servers.book_at_once(&requests), fault.happen(&mut redis)).await;
        servers.redis = redis;

        let (of_same, of_wanted): (Vec<_>, Vec<_>) =
            requests.iter().zip(replies).partition(|((key, _), _)| *key == same.0);
        let first = &of_same[0].1;
        assert_eq!(first.status, 201, "{fault:?}: {}", first.text);
        for (_, reply) in &of_same {
            assert_eq!((reply.status, &reply.text), (201, &first.text), "{fault:?}");
        }
        assert_eq!(
            of_same.iter().filter(|(_, reply)| reply.replayed.as_deref() == Some("false")).count(),
            1,
            "{fault:?}"
        );
        let won: Vec<_> = of_wanted.iter().filter(|(_, reply)| reply.status == 201).collect();
        assert_eq!(won.len(), 1, "{fault:?}");
        assert!(of_wanted.iter().all(|(_, reply)| matches!(reply.status, 201 | 409)), "{fault:?}");
        made.extend([first, &won[0].1].map(|reply| (reply.json()["booking"]["id"].take(), reply.text.clone())));

        let (key, body) = won[0].0.clone();
        for (request, first) in [(same, first.text.clone()), ((key, body), won[0].1.text.clone())] {
            for retried in servers.book_at_once(&vec![request; 4]).await {
                assert_eq!((retried.status, retried.replayed.as_deref()), (201, Some("true")), "{fault:?}");
                assert_eq!(retried.text, first, "{fault:?}");
            }
        }
    }
    let path = "/v1/bookings?from=2031-01-01T00:00:00Z&limit=200";
    let listed = servers.both[0].send(Method::GET, &servers.salon, path, None, None).await.unwrap().json();
    let listed: Vec<&Value> = listed.as_array().unwrap().iter().map(|booking| &booking["id"]).collect();
    assert_eq!(listed.len(), made.len(), "{listed:?}");
    assert!(made.iter().all(|(id, _)| listed.contains(&id)));
}
