//! kill -9 at any moment: no acknowledged booking lost, none double, streams without gap, projections as the events say.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tokio_postgres::Client;

use crate::support::{Salon, Server, TestDir, connect, key};

/// Front-ends that book at the same time.
const FRONT_ENDS: usize = 16;

/// What front-ends know after a crash: what was acknowledged, and what they have to ask again.
#[derive(Default)]
struct Known {
    acknowledged: HashMap<String, String>,
    open: Vec<(String, Value)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let rounds: u64 = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    let dir = TestDir::new();
    let mut server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let next_slot = AtomicUsize::new(0);
    let mut known = Known::default();
    for round in 0..rounds {
        let moment = Duration::from_millis(20 + (round * 137) % 400);
        book_until_killed(&mut server, &salon, &next_slot, &mut known, moment).await;
        server = Server::start(dir.path());
        server.ready().await;
        for (key, body) in std::mem::take(&mut known.open) {
            let retried = server.post(&salon, "/v1/bookings", &key, &body).await;
            assert_eq!(retried.status, 201, "round {round}: {}", retried.text);
            known.acknowledged.insert(key, booking_id(&retried.text));
        }
        check(dir.path(), &server, &salon, &known).await;
    }
    assert!(known.acknowledged.len() > usize::try_from(rounds).unwrap(), "the load was no load");
}

async fn book_until_killed(
    server: &mut Server,
    salon: &Salon,
    next_slot: &AtomicUsize,
    known: &mut Known,
    moment: Duration,
) {
    let killed = AtomicBool::new(false);
    let began = Instant::now();
    let front_ends = {
        let (server, killed) = (&*server, &killed);
        join_all((0..FRONT_ENDS).map(|_| async move {
            let (mut acknowledged, mut open) = (Vec::new(), Vec::new());
            while !killed.load(Ordering::Relaxed) {
                let number = next_slot.fetch_add(1, Ordering::Relaxed);
                let (person, place) = (number % 4, i64::try_from(number / 4).unwrap());
                let (key, body) = (key(), salon.booking(person, place / 12, place % 12));
                match server.send(Method::POST, salon, "/v1/bookings", Some(&key), Some(&body)).await {
                    Ok(reply) if reply.status == 201 => acknowledged.push((key, booking_id(&reply.text))),
                    Ok(reply) => panic!("{}: {}", reply.status, reply.text),
                    Err(_) => {
                        open.push((key, body));
                        break;
                    }
                }
            }
            (acknowledged, open)
        }))
    };
    let pid = server.pid();
    let killer = async {
        tokio::time::sleep(moment.saturating_sub(began.elapsed())).await;
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        killed.store(true, Ordering::Relaxed);
    };
    let (outcomes, ()) = futures_util::join!(front_ends, killer);
    for (acknowledged, open) in outcomes {
        known.acknowledged.extend(acknowledged);
        known.open.extend(open);
    }
    server.kill_9();
}

fn booking_id(text: &str) -> String {
    let body: Value = serde_json::from_str(text).unwrap();
    body["booking"]["id"].as_str().unwrap().to_owned()
}

async fn check(data_dir: &Path, server: &Server, salon: &Salon, known: &Known) {
    let url = codeccloud::postgres::embedded::url_of(data_dir).unwrap();
    let client = connect(&url).await;
    client.batch_execute("SET ROLE codeccloud_reader").await.unwrap();
    let number = async |sql: &str| client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    let gaps = "SELECT count(*) FROM (SELECT tenant_id, aggregate_type, aggregate_id, count(*) n, max(version) v \
                FROM event_store GROUP BY 1, 2, 3) s JOIN stream_heads h USING (tenant_id, aggregate_type, aggregate_id) \
                WHERE n <> v OR h.version <> v";
    assert_eq!(number(gaps).await, 0, "streams with a gap");
    let overlaps = "SELECT count(*) FROM saga_instances a JOIN saga_instances b ON a.saga_id < b.saga_id \
                    AND a.state ->> 'staffId' = b.state ->> 'staffId' AND a.state ->> 'slotStart' < b.state ->> 'slotEnd' \
                    AND b.state ->> 'slotStart' < a.state ->> 'slotEnd'";
    assert_eq!(number(overlaps).await, 0, "overlapping bookings");
    let booked = number("SELECT count(*) FROM event_store WHERE event_type = 'booking_scheduled'").await;
    let reserved = number("SELECT count(*) FROM event_store WHERE event_type = 'slot_reserved'").await;
    assert_eq!((booked, reserved), (i64::try_from(known.acknowledged.len()).unwrap(), booked));
    for id in known.acknowledged.values() {
        let there: i64 = events_of(&client, id).await;
        assert_eq!(there, 1, "booking {id}");
    }
    assert_eq!(listed(server, salon).await, usize::try_from(booked).unwrap(), "bookings in the read model");
}

async fn events_of(client: &Client, booking: &str) -> i64 {
    let sql = "SELECT count(*) FROM event_store WHERE aggregate_type = 'booking' AND aggregate_id = $1";
    client.query_one(sql, &[&booking.parse::<uuid::Uuid>().unwrap()]).await.unwrap().get(0)
}

/// All bookings that the search gives, page by page.
async fn listed(server: &Server, salon: &Salon) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page = server.get(salon, &format!("/v1/bookings/search?limit=200{cursor}")).await.json();
        count += page["data"].as_array().unwrap().len();
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_may_be_killed_and_comes_back_by_itself() {
    let dir = TestDir::new();
    let server = Arc::new(Server::start(dir.path()));
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let first = server.post(&salon, "/v1/bookings", &key(), &salon.booking(0, 0, 0)).await;
    assert_eq!(first.status, 201);
    let path = format!("/v1/bookings/{}", booking_id(&first.text));
    assert_eq!(server.get(&salon, &path).await.status, 200);
    while listed(&server, &salon).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let pid_file = std::fs::read_to_string(dir.path().join("postgres/cluster/postmaster.pid")).unwrap();
    let pid = nix::unistd::Pid::from_raw(pid_file.lines().next().unwrap().parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    // Reads go on from memory; writes say when to come back.
    let read = server.get(&salon, &path).await;
    assert_eq!(read.status, 200, "{}", read.text);
    // Sessions of a dead postmaster may live on for a moment, so not the first write need meet the absence.
    let deadline = Instant::now() + Duration::from_secs(60);
    let (mut number, mut away) = (0, false);
    let mut pending = (key(), salon.booking(1, 0, number));
    loop {
        let reply = server.post(&salon, "/v1/bookings", &pending.0, &pending.1).await;
        if reply.status == 201 && away {
            break;
        }
        if reply.status == 201 {
            number += 1;
            pending = (key(), salon.booking(1, number / 12, number % 12));
        } else {
            assert_eq!(reply.status, 503, "{}", reply.text);
            assert!(reply.retry_after.is_some());
            away = true;
        }
        assert!(Instant::now() < deadline, "away: {away}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
