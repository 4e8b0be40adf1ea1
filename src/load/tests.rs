//! Whole runs against a fake: a few dozen lines that answer as the contract says, and misbehave when told to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::time::{Slot, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::args::tests::parsed;
use super::*;

const TENANT: Uuid = Uuid::from_u64_pair(7, 7);
const PAGE: usize = 20;

#[derive(Default)]
struct Fake {
    bookings: Vec<Value>,
    /// Body and booking by idempotency key.
    answered: HashMap<String, (String, Value)>,
    requests: usize,
    faults: Faults,
}

#[derive(Default, Clone)]
struct Faults {
    /// From this request on, nobody is answered for so long.
    stall: Option<(usize, Duration)>,
    /// The connection of this request ends after the booking is made, before it is answered.
    cut_after_commit: Option<usize>,
    /// The first booking is acknowledged but not kept.
    forget: bool,
    double_book: bool,
    /// Connections end once they have answered, without announcing it.
    hang_up: bool,
}

impl Fake {
    /// Serves on a port of its own for as long as the runtime lives.
    async fn start(faults: Faults) -> (String, Arc<tokio::sync::Mutex<Fake>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let fake = Arc::new(tokio::sync::Mutex::new(Fake { faults, ..Fake::default() }));
        let shared = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        (url, fake)
    }

    fn answer(&mut self, line: &str, key: &str, body: &str) -> (u16, String, Value) {
        let target = line.split(' ').nth(1).expect("a request line");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let none = String::new();
        match (line.starts_with("POST"), path) {
            (true, "/v1/bookings") => {
                let (status, body) = self.book(key, body);
                (status, none, body)
            }
            (false, "/v1/services") => {
                let service = |n: u64, minutes| {
                    json!({ "id": Uuid::from_u64_pair(8, n), "durationMinutes": minutes,
                    "price": { "currency": "CHF", "amount": 9_000 } })
                };
                let mut retired = service(3, 45);
                retired["active"] = json!(false);
                let mut of_the_first = service(2, 60);
                of_the_first["staffIds"] = json!([Uuid::from_u64_pair(9, 1)]);
                (200, none, json!([service(1, 30), of_the_first, retired]))
            }
            (false, "/v1/staff") => {
                (200, none, json!((1..4).map(|n| json!({ "id": Uuid::from_u64_pair(9, n) })).collect::<Vec<_>>()))
            }
            (false, "/v1/bookings/availability") => (200, none, json!({ "slots": [] })),
            (false, "/v1/bookings") => self.list(target, query),
            (false, _) => {
                let found = self.bookings.iter().find(|booking| path.ends_with(booking["id"].as_str().expect("an id")));
                found.map_or((404, none.clone(), Value::Null), |booking| (200, none, booking.clone()))
            }
            (true, _) => (404, none, Value::Null),
        }
    }

    fn book(&mut self, key: &str, body: &str) -> (u16, Value) {
        if let Some((first_body, booking)) = self.answered.get(key) {
            assert_eq!(first_body, body, "a key was used for two requests");
            return (201, json!({ "booking": booking, "outboxEventId": "1" }));
        }
        let mut booking: Value = serde_json::from_str(body).expect("JSON");
        let of_the_first = booking["serviceId"] == json!(Uuid::from_u64_pair(8, 2))
            && booking["staffId"] == json!(Uuid::from_u64_pair(9, 1));
        let of_everyone = booking["serviceId"] == json!(Uuid::from_u64_pair(8, 1));
        assert!(of_everyone || of_the_first, "nobody offers {booking}");
        let taken = |other: &Value| other["staffId"] == booking["staffId"] && slot(other).overlaps(slot(&booking));
        if self.bookings.iter().any(taken) && !self.faults.double_book {
            return (409, json!({ "title": "conflict" }));
        }
        booking["id"] = json!(Uuid::from_u64_pair(10, self.requests as u64));
        booking["status"] = json!("scheduled");
        self.answered.insert(key.to_owned(), (body.to_owned(), booking.clone()));
        if !std::mem::take(&mut self.faults.forget) {
            self.bookings.push(booking.clone());
        }
        (201, json!({ "outboxEventId": "1", "booking": booking }))
    }

    /// Pages with a `Link`, as bare arrays do.
    fn list(&self, target: &str, query: &str) -> (u16, String, Value) {
        let pairs: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let (from, to): (Timestamp, Timestamp) =
            (pairs["from"].parse().expect("an instant"), pairs["to"].parse().expect("an instant"));
        let within = |booking: &&Value| {
            booking["staffId"] == pairs["staffId"] && slot(booking).overlaps(Slot { start: from, end: to })
        };
        let matching: Vec<&Value> = self.bookings.iter().filter(within).collect();
        let skip: usize = pairs.get("cursor").map_or(0, |cursor| cursor.parse().expect("a number"));
        let page: Vec<&&Value> = matching.iter().skip(skip).take(PAGE).collect();
        let first_page = target.split("&cursor").next().expect("a target");
        let more = skip + page.len() < matching.len();
        let link = format!("Link: <http://fake{first_page}&cursor={}>; rel=\"next\"\r\n", skip + PAGE);
        (200, if more { link } else { String::new() }, json!(page))
    }
}

fn slot(booking: &Value) -> Slot {
    let at = |field: &str| booking[field].as_str().expect("text").parse().expect("an instant");
    Slot { start: at("slotStart"), end: at("slotEnd") }
}

async fn serve(stream: TcpStream, fake: Arc<tokio::sync::Mutex<Fake>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let header = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).unwrap_or_default()
        };
        assert_eq!((header("x-workspace-id"), header("authorization")), (&*TENANT.to_string(), "Bearer secret"));
        let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
        stream.read_exact(&mut body).await.expect("the announced body");
        let mut fake = fake.lock().await;
        fake.requests += 1;
        let number = fake.requests;
        if let Some((_, pause)) = fake.faults.stall.filter(|(at, _)| *at == number) {
            tokio::time::sleep(pause).await;
        }
        let body = std::str::from_utf8(&body).expect("UTF-8");
        let (status, link, answer) = fake.answer(&head, header("idempotency-key"), body);
        if fake.faults.cut_after_commit == Some(number) {
            return;
        }
        let answer = answer.to_string();
        let text = format!("HTTP/1.1 {status} X\r\n{link}Content-Length: {}\r\n\r\n{answer}", answer.len());
        if stream.write_all(text.as_bytes()).await.is_err() || fake.faults.hang_up {
            return;
        }
    }
}

async fn load(url: &str, words: &str) -> Report {
    let args = parsed(&format!("--url {url} {words}")).expect("valid");
    let access = vec![TenantAccess { tenant_id: TENANT, token: "secret".to_owned() }];
    run(&args, access).await.expect("the run starts")
}

/// Requests that discover services, staff and what three people have booked.
const BEFORE: usize = 5;

#[tokio::test]
async fn a_mixed_run_measures_counts_and_checks() {
    let (url, fake) = Fake::start(Faults::default()).await;
    let report = load(&url, "--rate 400 --duration 1 --connections 8 --reads 0.4 --hot-share 0.3 --staff 3").await;
    assert_eq!((report.answers, report.unsent, report.unresolved), (400, 0, 0));
    let verdict = report.check.as_ref().expect("checked");
    assert_eq!((verdict.problems, exit_code(&report)), (0, 0), "{verdict}");
    assert_eq!(verdict.acknowledged, report.bookings);
    assert_eq!(verdict.listed, fake.lock().await.bookings.len() as u64);
    let statuses = |kind| &report.kinds[&kind].statuses;
    assert_eq!(statuses(Kind::Book)[&201] + statuses(Kind::BookPopular)[&201], report.bookings);
    assert_eq!(statuses(Kind::Book).get(&409), None, "free slots collide");
    assert!(statuses(Kind::BookPopular)[&409] > 5, "popular slots are not fought over");
    for kind in [Kind::Availability, Kind::Get, Kind::List] {
        assert_eq!(statuses(kind).keys().collect::<Vec<_>>(), [&200], "{kind:?}");
    }
}

#[tokio::test]
async fn a_stall_shows_in_the_latency_of_all_that_queued_behind_it() {
    let stall = Some((BEFORE + 20, Duration::from_millis(500)));
    let (url, _) = Fake::start(Faults { stall, ..Faults::default() }).await;
    let open = load(&url, "--rate 200 --duration 1 --connections 4 --no-check").await;
    assert_eq!(open.answers, 200, "arrivals keep their rate");
    let latency = &open.kinds[&Kind::Book].latency_micros;
    assert!(latency.p99 > 400_000 && latency.p90 > 250_000, "100 of 200 requests waited, yet {latency:?}");

    let (url, _) = Fake::start(Faults { stall, ..Faults::default() }).await;
    let closed = load(&url, "--max --duration 1 --connections 1 --no-check").await;
    let latency = &closed.kinds[&Kind::Book].latency_micros;
    assert!(latency.p90 < 100_000 && latency.max > 400_000, "a closed loop meets the stall once, yet {latency:?}");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let (url, fake) = Fake::start(Faults { cut_after_commit: Some(BEFORE + 10), ..Faults::default() }).await;
    let report = load(&url, "--rate 100 --duration 0.5 --connections 2").await;
    assert_eq!(report.errors.get(&ExchangeError::ConnectionLost), Some(&1));
    assert_eq!((report.bookings, fake.lock().await.bookings.len()), (50, 50));
    assert!(!report.check_failed(), "{report}");
}

#[tokio::test]
async fn a_connection_that_ended_while_idle_is_no_error() {
    let (url, _) = Fake::start(Faults { hang_up: true, ..Faults::default() }).await;
    let report = load(&url, "--rate 20 --duration 0.5 --connections 1 --no-check").await;
    assert_eq!((report.bookings, report.errors.len()), (10, 0), "{report}");
}

#[tokio::test]
async fn a_forgotten_booking_fails_the_check() {
    let (url, _) = Fake::start(Faults { forget: true, ..Faults::default() }).await;
    let report = load(&url, "--rate 100 --duration 0.2 --connections 2").await;
    let verdict = report.check.as_ref().expect("checked");
    assert_eq!((verdict.problems, exit_code(&report)), (1, 1));
    assert!(verdict.first[0].contains("does not exist"), "{verdict}");
}

#[tokio::test]
async fn an_overlap_fails_the_check() {
    let (url, _) = Fake::start(Faults { double_book: true, ..Faults::default() }).await;
    let report = load(&url, "--rate 300 --duration 0.5 --connections 2 --hot-share 1").await;
    let verdict = report.check.as_ref().expect("checked");
    assert!(verdict.problems > 10 && verdict.first.len() == 10, "{verdict}");
    assert!(verdict.first.iter().all(|problem| problem.contains("overlaps")), "{verdict}");
}

#[tokio::test]
async fn an_exhausted_horizon_ends_the_run_and_a_second_run_finds_it_taken() {
    let (url, fake) = Fake::start(Faults::default()).await;
    let words = "--max --duration 30 --connections 4 --horizon-days 2 --staff 1";
    let first = load(&url, words).await;
    assert!(first.horizon_exhausted && first.elapsed_seconds < 20.0);
    assert_eq!((first.bookings, first.answers), (first.slots_handed_out, first.slots_handed_out));
    assert!(first.bookings >= 20, "{first}");
    let before = fake.lock().await.bookings.len();
    let second = load(&url, words).await;
    assert_eq!(second.answers, second.bookings, "a slot was asked for that is taken");
    assert!(second.horizon_exhausted && fake.lock().await.bookings.len() - before <= 2);
}

#[tokio::test]
async fn a_run_that_cannot_start_says_why_in_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nobody = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    for (words, reason) in [("--tenants 2", "asks for 2"), ("", "unreachable")] {
        let args = parsed(&format!("--max --url {nobody} {words}")).expect("valid");
        let access = TenantAccess { tenant_id: TENANT, token: "secret".to_owned() };
        let error = run(&args, vec![access]).await.expect_err("cannot start").to_string();
        assert!(error.contains(reason) && error.lines().count() == 1, "{error}");
    }
}
