//! Front-ends that want the same slots and the same bookings, and remember what they were told.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Reply, Salon, Server, key};

const AT_ONCE: u64 = 16;
const PEOPLE: u64 = 4;
/// Of a person, in a round: few enough to be fought for.
const SLOTS: u64 = 24;
/// The newest bookings, which all go for.
const IN_SIGHT: usize = 24;
/// Summer, so that the hours of the day stay what they are; after that many rounds the days come again.
const ROUNDS_OF_DAYS: u64 = 40;

pub struct FrontEnds {
    salon: Salon,
    /// The same salon, to somebody who works there: only they check customers in.
    owner: Salon,
    known: Mutex<Known>,
    over: AtomicBool,
    refused: AtomicUsize,
}

#[derive(Default)]
struct Known {
    bookings: HashMap<Uuid, Acknowledged>,
    in_order: Vec<Uuid>,
    /// What got no answer: done or not, only the server can tell.
    open: Vec<Request>,
}

/// What front-ends know of a booking.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    /// How many of its changes were acknowledged, the first one included: each is one event.
    pub changes: u32,
    /// The booking as the newest of the answers that name a version has it.
    pub newest: Option<(u32, Value)>,
}

#[derive(Debug)]
struct Request {
    path: String,
    key: String,
    body: Value,
    as_owner: bool,
}

impl FrontEnds {
    pub async fn of(server: &Server, data_dir: &Path) -> FrontEnds {
        let salon = server.salon(data_dir).await;
        let owner = server.member_of(&salon, data_dir, "owner").await;
        let (known, over, refused) = (Mutex::default(), AtomicBool::new(false), AtomicUsize::new(0));
        FrontEnds { salon, owner, known, over, refused }
    }

    /// Until it is called a day, or the server is gone.
    pub async fn work(&self, server: &Server, round: u64) {
        self.over.store(false, Ordering::Relaxed);
        let seeds = (0..AT_ONCE).map(|front_end| Random::new(round * AT_ONCE + front_end));
        join_all(seeds.map(async |mut random| {
            while !self.over.load(Ordering::Relaxed) {
                let request = self.wish(round, &mut random);
                match self.ask(server, &request).await {
                    Some(reply) => self.note(&reply),
                    None => return self.known().open.push(request),
                }
            }
        }))
        .await;
    }

    pub fn call_it_a_day(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Once the server is back: the same requests with the same keys, until each has an answer.
    pub async fn ask_again(&self, server: &Server) {
        let open = std::mem::take(&mut self.known().open);
        for request in open {
            let reply = self.ask(server, &request).await.expect("the server is there");
            self.note(&reply);
        }
    }

    /// Waits until a write was told to come back later.
    pub async fn refused_once_more(&self) {
        let before = self.refused.load(Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.refused.load(Ordering::Relaxed) == before {
            assert!(Instant::now() < deadline, "nobody noticed that the database was gone");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Reads what has to be in memory, one and many; returns how many bookings there were.
    pub async fn read(&self, server: &Server) -> usize {
        let first = self.known().in_order[0];
        let one = server.get(&self.salon, &format!("/v1/bookings/{first}")).await;
        assert_eq!(one.status, 200, "{}", one.text);
        // What is long past is in the database only.
        let many = server.get(&self.salon, "/v1/bookings?limit=200&from=2031-01-01T00:00:00Z").await;
        assert_eq!(many.status, 200, "{}", many.text);
        many.json().as_array().unwrap().len()
    }

    pub fn salon(&self) -> &Salon {
        &self.salon
    }

    pub fn bookings(&self) -> HashMap<Uuid, Acknowledged> {
        self.known().bookings.clone()
    }

    pub fn acknowledged(&self) -> usize {
        self.known().bookings.values().map(|booking| usize::try_from(booking.changes).unwrap()).sum()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Half of them book; the others change what somebody, perhaps somebody else, has booked of late.
    fn wish(&self, round: u64, random: &mut Random) -> Request {
        let number = i64::try_from(random.below(SLOTS)).unwrap();
        let day = i64::try_from(2 * (round % ROUNDS_OF_DAYS)).unwrap() + number / 12;
        let body = self.salon.booking(usize::try_from(random.below(PEOPLE)).unwrap(), day, number % 12);
        let id = {
            let in_order = &self.known().in_order;
            let in_sight = &in_order[in_order.len().saturating_sub(IN_SIGHT)..];
            (!in_sight.is_empty()).then(|| in_sight[usize::try_from(random.below(in_sight.len() as u64)).unwrap()])
        };
        let (Some(id), false) = (id, random.below(2) == 0) else { return Request::post("", body, false) };
        let slot = json!({ "bookingId": id, "slotStart": body["slotStart"], "slotEnd": body["slotEnd"] });
        match random.below(8) {
            0..4 => Request::post(&format!("/{id}/reschedule"), slot, false),
            4 | 5 => Request::post(&format!("/{id}/cancel"), json!({ "bookingId": id, "reason": "ill" }), false),
            6 => Request::post(&format!("/{id}/check-in"), json!({ "bookingId": id }), true),
            _ => Request::post(&format!("/{id}/complete"), json!({ "bookingId": id }), true),
        }
    }

    /// Until there is an answer that decides; `None` when the server has gone.
    async fn ask(&self, server: &Server, request: &Request) -> Option<Reply> {
        let caller = if request.as_owner { &self.owner } else { &self.salon };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let (key, body) = (Some(request.key.as_str()), Some(&request.body));
            let reply = server.send(Method::POST, caller, &request.path, key, body).await.ok()?;
            if reply.status != 503 {
                return Some(reply);
            }
            assert!(reply.retry_after.is_some(), "{}", reply.text);
            assert!(Instant::now() < deadline, "{request:?} never came through: {}", reply.text);
            self.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn note(&self, reply: &Reply) {
        if reply.status == 409 {
            return;
        }
        assert!(matches!(reply.status, 200 | 201), "{}: {}", reply.status, reply.text);
        let booking = reply.json()["booking"].take();
        let id: Uuid = booking["id"].as_str().unwrap().parse().unwrap();
        let mut known = self.known();
        if reply.status == 201 {
            known.in_order.push(id);
        }
        let acknowledged = known.bookings.entry(id).or_default();
        acknowledged.changes += 1;
        let version = reply.etag.as_ref().map(|tag| tag.trim_matches('"').parse().unwrap());
        if let Some(version) = version.filter(|version| acknowledged.newest.as_ref().is_none_or(|(v, _)| v < version)) {
            acknowledged.newest = Some((version, booking));
        }
    }
}

impl Request {
    fn post(step: &str, body: Value, as_owner: bool) -> Request {
        Request { path: format!("/v1/bookings{step}"), key: key(), body, as_owner }
    }
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}
