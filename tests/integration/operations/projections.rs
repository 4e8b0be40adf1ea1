use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{codeccloud, fails, status, succeeds, text};
use crate::support::{Salon, Server, TestDir, connect, key};

const SEARCH: &str = "/v1/bookings/search?limit=200";

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_an_event_stops_goes_on_once_the_event_is_skipped() {
    let dir = TestDir::new();
    let mut server = Server::start(dir.path());
    server.ready().await;
    let (healthy, sick) = (server.salon(dir.path()).await, server.salon_named(dir.path(), "atelier-leman").await);
    book(&server, &sick, 0).await;
    let position = poison(dir.path(), &sick).await;
    eventually(async || is_stopped(dir.path(), &sick)).await;
    book(&server, &sick, 1).await;
    assert_eq!(listed(&server, &sick).await, 2, "from the tables");
    book(&server, &healthy, 0).await;
    assert_eq!(server.get(&healthy, SEARCH).await.status, 200, "the others go on");
    is_loud(&server, dir.path(), &sick, position).await;

    let (tenant, at) = (sick.tenant_id.as_str(), position.to_string());
    let stop = ["--projection", "appointment_summaries", "--tenant", tenant];
    let retried = fails(dir.path(), &[&["projections", "retry"][..], &stop].concat());
    assert!(retried.contains(&format!("stopped at position {at}")), "{retried}");
    let other = (position + 1).to_string();
    let refused = fails(dir.path(), &[&["projections", "skip"][..], &stop, &["--position", &other]].concat());
    assert!(refused.contains(&format!("stopped at {at}, not at {other}")), "{refused}");
    for projection in ["appointment_summaries", "revenue"] {
        let stop = ["--projection", projection, "--tenant", tenant, "--position", &at];
        succeeds(dir.path(), &[&["projections", "skip"][..], &stop].concat());
    }
    assert!(!is_stopped(dir.path(), &sick));
    assert_eq!(listed(&server, &sick).await, 2, "what came before and after the event");
    let again = fails(dir.path(), &[&["projections", "retry"][..], &stop].concat());
    assert!(again.contains("is not stopped"), "{again}");

    // The event stays skipped, whatever is started again and folded anew.
    server.kill_9();
    let server = Server::start(dir.path());
    server.ready().await;
    assert_eq!(listed(&server, &sick).await, 2);
    succeeds(dir.path(), &["projections", "rebuild"]);
    assert_eq!(listed(&server, &sick).await, 2);
    succeeds(dir.path(), &["projections", "status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_on_two_servers_leaves_no_gap_and_counts_nothing_twice() {
    let dir = TestDir::new();
    let first = Server::start(dir.path());
    first.ready().await;
    let second = Server::beside(&codeccloud::postgres::embedded::url_of(dir.path()).unwrap(), dir.path());
    second.ready().await;
    let salon = first.salon(dir.path()).await;
    for number in 0..20 {
        book(&first, &salon, number).await;
    }
    // Read-your-writes is a promise of the server that was written to; the other one follows.
    eventually(async || listed(&second, &salon).await == 20).await;
    let done = AtomicBool::new(false);
    let booking = async {
        let mut booked = 20;
        while !done.load(Ordering::Relaxed) {
            book(&first, &salon, booked).await;
            booked += 1;
            assert_eq!(listed(&first, &salon).await, usize::try_from(booked).unwrap(), "read your writes, all along");
            assert!(listed(&second, &salon).await >= 20, "reads of the other server");
        }
        booked
    };
    let rebuilding = async {
        let path = dir.path().to_owned();
        let rebuilds = tokio::task::spawn_blocking(move || {
            (0..3).map(|_| succeeds(&path, &["projections", "rebuild"])).collect::<Vec<String>>()
        });
        let rebuilds = rebuilds.await.unwrap();
        done.store(true, Ordering::Relaxed);
        rebuilds
    };
    let (booked, rebuilds) = futures_util::join!(booking, rebuilding);
    assert!(rebuilds.iter().all(|output| output.matches("appointment_summaries").count() == 2), "{rebuilds:?}");
    let calendar = format!("/v1/staff/{}/utilisation?from=2031-06-02&to=2031-07-31", salon.staff_ids[0]);
    let minutes = first.get(&salon, &calendar).await;
    let rows = status(dir.path());
    assert_eq!(rows.len(), 12, "{rows:#?}");
    assert!(rows.iter().all(|row| row["generation"] == 3 && row["state"] == "live"), "{rows:#?}");
    eventually(async || listed(&second, &salon).await == usize::try_from(booked).unwrap()).await;
    let of_one = |name: &str| -> Vec<Value> {
        let rows = status(dir.path()).into_iter().filter(|row| row["projection"] == name);
        rows.map(|row| row["eventsApplied"].clone()).collect()
    };
    assert_eq!(of_one("appointment_summaries"), [json!(booked), json!(booked)]);
    assert_eq!(of_one("availability"), [json!(booked), json!(booked)], "{}", minutes.text);

    // Without a server the command does it itself, and the next server starts from that.
    second.stop();
    first.stop();
    let alone = succeeds(dir.path(), &["projections", "rebuild", "--projection", "availability"]);
    assert!(alone.contains("no server runs") && !alone.contains("loyalty_balances"), "{alone}");
    succeeds(dir.path(), &["projections", "snapshot"]);
    let server = Server::start(dir.path());
    server.ready().await;
    let generations: Vec<Value> = status(dir.path()).iter().map(|row| row["generation"].clone()).collect();
    assert_eq!(generations, [json!(4), json!(3), json!(3), json!(3), json!(3), json!(3)]);
    assert_eq!(listed(&server, &salon).await, usize::try_from(booked).unwrap());
}

/// The database is there, and the feed can't be read all the same.
#[tokio::test(flavor = "multi_thread")]
async fn reads_that_stand_still_are_told_by_metric_and_readiness() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let url = codeccloud::postgres::embedded::url_of(dir.path()).unwrap();
    let owner = connect(&url).await;
    owner.batch_execute("REVOKE SELECT ON event_store FROM codeccloud_reader").await.unwrap();
    let age = async || {
        let metrics = server.client.get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
        let name = "codeccloud_projection_oldest_unapplied_age_seconds{projection=\"availability\"} ";
        metrics.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok()).unwrap()
    };
    let began = Instant::now();
    assert!(age().await < 1.0);
    let health = async || {
        let answer = server.client.get(format!("{}/health/ready", server.url)).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    while health().await.0 == 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "it stays ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let missing = health().await.1["missing"].as_array().unwrap().len();
    assert_eq!(missing, 6, "each projection, and not the database");
    assert!(age().await > 10.0);
    owner.batch_execute("GRANT SELECT ON event_store TO codeccloud_reader").await.unwrap();
    eventually(async || health().await.0 == 200 && age().await < 1.0).await;
}

/// A booking of the salon's own, of which it has one for each number.
async fn book(server: &Server, salon: &Salon, number: i64) {
    let body = salon.booking(0, number / 12, number % 12);
    let reply = server.post(salon, "/v1/bookings", &key(), &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

async fn listed(server: &Server, salon: &Salon) -> usize {
    let (mut count, mut path) = (0, SEARCH.to_owned());
    loop {
        let reply = server.get(salon, &path).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let page = reply.json();
        count += page["data"].as_array().unwrap().len();
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{SEARCH}&cursor={cursor}"),
            None => return count,
        }
    }
}

/// Puts an event into the store that nobody can read; returns its position.
async fn poison(data_dir: &Path, salon: &Salon) -> i64 {
    let url = codeccloud::postgres::embedded::url_of(data_dir).unwrap();
    let superuser = connect(&url.replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let sql = "INSERT INTO event_store (id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, \
                   occurred_at, cluster_id, recorded_at, schema_version, metadata) \
               VALUES ($1, $2, 'booking', $1, 'booking_scheduled', 1, '{}', now(), app_private.cluster_id(), now(), 1, '{}') \
               RETURNING position";
    let tenant_id: Uuid = salon.tenant_id.parse().unwrap();
    superuser.query_one(sql, &[&Uuid::from_u128(0xbad), &tenant_id]).await.unwrap().get(0)
}

/// In the model that lists are read from.
fn is_stopped(data_dir: &Path, salon: &Salon) -> bool {
    let rows = status(data_dir);
    let row = rows.iter().find(|row| row["projection"] == "appointment_summaries").unwrap();
    row["tenantsStopped"].as_array().unwrap().iter().any(|stopped| stopped["tenantId"] == salon.tenant_id.as_str())
}

/// Status, readiness and metrics all say which projection has stopped for somebody.
async fn is_loud(server: &Server, data_dir: &Path, salon: &Salon, position: i64) {
    let rows = status(data_dir);
    let row = rows.iter().find(|row| row["projection"] == "appointment_summaries").unwrap();
    let stopped = &row["tenantsStopped"][0];
    assert_eq!((&stopped["tenantId"], &stopped["position"]), (&json!(salon.tenant_id), &json!(position)), "{row}");
    let output = codeccloud(data_dir, &["projections", "status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(&format!("tenant {} is stopped at position {position}", salon.tenant_id)));

    let ready = server.client.get(format!("{}/health/ready", server.url)).send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 200, "it serves the others");
    let ready: Value = serde_json::from_str(&ready.text().await.unwrap()).unwrap();
    let both = ["appointment_summaries", "revenue"].map(|name| format!("projection {name}: 1 tenants stopped"));
    assert_eq!(ready["degraded"], json!(both), "those that fold bookings");
    let metrics = server.client.get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("codeccloud_projection_tenants_stopped{projection=\"appointment_summaries\"} 1"),
        "{metrics}"
    );
}

async fn eventually(holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds().await {
        assert!(Instant::now() < deadline, "it never held");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
