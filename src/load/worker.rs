//! One connection's loop: wait for a turn, send, record, remember what was acknowledged.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codeccloud_actors::ids::BookingId;
use serde::Deserialize;
use uuid::{Builder, Uuid};

use super::arrivals::Pacer;
use super::client::{Answer, Connection, ExchangeError};
use super::random::Random;
use super::recorder::Recorder;
use super::requests::{Acknowledged, Planned, Planner};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What all workers of a run have in common.
pub struct Run {
    pub planner: Planner,
    pub pacer: Pacer,
    pub recorder: Mutex<Recorder>,
    /// Makes this run's idempotency keys differ from those of any other, so that no answer is a replay of an old one.
    pub nonce: u64,
}

impl Run {
    pub fn record(&self, note: impl FnOnce(&mut Recorder)) {
        note(&mut self.recorder.lock().expect("no panic under the lock"));
    }
}

pub struct Worker {
    run: Arc<Run>,
    number: u32,
    connection: Connection,
    random: Random,
    keys: u64,
    acknowledged: Vec<Acknowledged>,
}

/// The only part of a 201 that the load tester reads.
#[derive(Deserialize)]
struct Created {
    booking: CreatedBooking,
}

#[derive(Deserialize)]
struct CreatedBooking {
    id: BookingId,
}

impl Worker {
    pub fn new(run: Arc<Run>, number: u32, seed: u64) -> Worker {
        let connection = Connection::new(run.planner.cast.target.clone());
        let random = Random::new(seed, u64::from(number));
        Worker { run, number, connection, random, keys: 0, acknowledged: Vec::with_capacity(4_096) }
    }

    /// Sends until the run is over; answers what the server acknowledged.
    pub async fn work(mut self) -> Vec<Acknowledged> {
        while let Some(origin) = self.run.pacer.turn().await {
            let key = self.next_key();
            let Some(planned) = self.run.planner.next(&mut self.random, &self.acknowledged, key) else {
                self.run.pacer.stop();
                break;
            };
            self.perform(&planned, origin).await;
        }
        self.acknowledged
    }

    fn next_key(&mut self) -> Uuid {
        self.keys += 1;
        // The top two bits give way to the UUID's variant; no run has 2^30 connections.
        let low = u64::from(self.number) << 32 | self.keys;
        Builder::from_random_bytes(Uuid::from_u64_pair(self.run.nonce, low).into_bytes()).into_uuid()
    }

    /// Sends until an answer comes, as a front-end would: the same key, so that a booking whose answer got lost is
    /// answered again rather than made twice. Latency counts from `origin`, lost attempts included.
    async fn perform(&mut self, planned: &Planned, origin: Instant) {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.connection.exchange(planned.request(&self.run.planner.cast)).await {
                Ok(answer) => return self.conclude(planned, &answer, origin.elapsed()),
                Err(error) => error,
            };
            self.run.record(|recorder| recorder.error(error));
            if !self.run.pacer.may_drain() {
                return self.run.record(Recorder::unresolved);
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn conclude(&mut self, planned: &Planned, answer: &Answer, latency: Duration) {
        self.run.record(|recorder| recorder.answer(planned.kind, answer.status, latency));
        if !planned.kind.is_booking() || answer.status != 201 {
            return;
        }
        match serde_json::from_slice::<Created>(&answer.body) {
            Ok(created) => self.acknowledged.push(Acknowledged { booking: created.booking.id, aim: planned.aim }),
            Err(_) => self.run.record(|recorder| recorder.error(ExchangeError::MalformedAnswer)),
        }
    }
}
