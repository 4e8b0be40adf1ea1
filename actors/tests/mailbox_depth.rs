//! The metric of commands that wait in mailboxes goes up with them, and down with each, taken or lost.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use codeccloud_actors::answer::{Answer, Response};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{BookingId, CommandId, CustomerId, NodeId};
use codeccloud_actors::metrics_catalogue::MAILBOX_DEPTH;
use codeccloud_actors::money::{Currency, Money};
use codeccloud_actors::ports::Ids;
use codeccloud_actors::runtime::{Runtime, RuntimePorts, RuntimeSettings, Submission};
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::{ANNA, HAIRCUT, ManualClock, MemoryStore, SeededIds, context, salon, slot, time};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use uuid::Uuid;

const WAITING: usize = 20;

struct House {
    store: Arc<MemoryStore>,
    runtime: Runtime,
    depth: Depth,
}

/// Of the bookings' mailboxes, as the bits of a float.
#[derive(Clone, Default)]
struct Depth(Arc<AtomicU64>);

impl Depth {
    fn now(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::SeqCst))
    }
}

impl Recorder for Depth {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let is_ours = key.name() == MAILBOX_DEPTH.name && key.labels().any(|label| label.value() == "booking");
        if is_ours { Gauge::from_arc(Arc::clone(&self.0)) } else { Gauge::noop() }
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl House {
    fn new() -> House {
        let (store, depth) = (Arc::new(MemoryStore::default()), Depth::default());
        let settings = RuntimeSettings {
            arbiters: 1,
            mailbox_capacity: 256,
            passivate_after: Duration::from_secs(600),
            active_max: 1_000,
            snapshot_every: 100,
            conflict_retries: 3,
            restart_backoff_min: Duration::from_millis(10),
            restart_backoff_max: Duration::from_millis(100),
        };
        let ports = RuntimePorts {
            journal: store.clone(),
            streams: store.clone(),
            snapshots: store.clone(),
            idempotency: store.clone(),
            clock: Arc::new(ManualClock::at(time("2027-03-01T08:00:00Z"))),
            ids: Arc::new(SeededIds::new(7)),
        };
        let node_id = NodeId(Uuid::from_u128(1));
        let runtime = metrics::with_local_recorder(&depth, || Runtime::start(node_id, settings, ports));
        House { store, runtime, depth }
    }

    /// A booking whose actor waits for a calendar, because the journal is held, with commands in its mailbox.
    async fn crowded() -> House {
        let house = House::new();
        let booking_id = BookingId(Uuid::from_u128(0xB));
        let create = BookingCommand::Create {
            booking_id,
            staff_id: ANNA,
            service_id: HAIRCUT,
            customer_id: CustomerId(Uuid::from_u128(0xC)),
            slot: slot("2027-03-02T09:00:00Z", 60),
            price: Money { currency: Currency::Chf, amount: 8_000 },
        };
        house.execute(booking_id, create).await;
        house.store.hold();
        for number in 0..=WAITING {
            let runtime = house.runtime.clone();
            let command = BookingCommand::Cancel { booking_id, waive_fee: false, reason_recorded: false };
            actix::spawn(async move { runtime.execute(submission(booking_id, command)).await });
            if number == 0 {
                until(|| house.store.waiting() == 1).await;
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        until(|| house.depth.now() == WAITING as f64).await;
        house
    }

    async fn execute(&self, booking_id: BookingId, command: BookingCommand) {
        self.runtime.execute(submission(booking_id, command)).await.unwrap();
    }
}

fn submission(booking_id: BookingId, command: BookingCommand) -> Submission {
    let reference = salon();
    let command_id = CommandId(SeededIds::new(9).uuid());
    Submission {
        tenant_id: reference.tenant_id,
        command: Command::Booking(booking_id, command),
        precondition: None,
        context: context(reference),
        command_id,
        key: Some(format!("key-{command_id}")),
        metadata: "{}".into(),
        sealed: Vec::new(),
        respond: Arc::new(|_| Response {
            answer: Answer { status: 200, body: "{}".into(), version: None },
            record: None,
        }),
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

async fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "it does not come to this");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[actix::test]
async fn it_counts_what_waits_and_is_zero_again_when_all_is_taken() {
    let house = House::crowded().await;
    house.store.release();
    until(|| house.depth.now() == 0.0).await;
}

#[test]
fn it_forgets_what_waited_for_an_actor_that_ended() {
    let system = actix::System::new();
    let house = system.block_on(House::crowded());
    actix::System::current().stop();
    system.run().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while house.depth.now() != 0.0 {
        assert!(Instant::now() < deadline, "{} still wait", house.depth.now());
        std::thread::sleep(Duration::from_millis(2));
    }
}
