//! A salon's runtime over a store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use codeccloud_actors::aggregates::loyalty_balance::LoyaltyCommand;
use codeccloud_actors::answer::{Answer, Respond, Response, Verdict};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{
    AggregateType, BookingId, CommandId, CustomerId, NodeId, ServiceId, StaffId, StreamId, TenantId, Version,
};
use codeccloud_actors::money::{Currency, Money};
use codeccloud_actors::ports::{Clock, IdempotencyRecord, Ids};
use codeccloud_actors::reference::TenantReference;
use codeccloud_actors::runtime::{Executed, ExecutionError, Runtime, RuntimePorts, RuntimeSettings, Submission};
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::{ANNA, HAIRCUT, ManualClock, MemoryStore, SeededIds, context, salon, slot, time};
use codeccloud_actors::time::Slot;
use uuid::Uuid;

pub const NODE: NodeId = NodeId(Uuid::from_u128(1));

pub struct House {
    pub store: Arc<MemoryStore>,
    pub runtime: Runtime,
    pub ids: Arc<SeededIds>,
    pub clock: Arc<ManualClock>,
}

pub fn settings() -> RuntimeSettings {
    RuntimeSettings {
        arbiters: 1,
        mailbox_capacity: 256,
        passivate_after: Duration::from_secs(600),
        active_max: 1_000,
        snapshot_every: 100,
        conflict_retries: 3,
        restart_backoff_min: Duration::from_millis(10),
        restart_backoff_max: Duration::from_millis(100),
    }
}

impl House {
    pub fn new(settings: RuntimeSettings) -> House {
        House::with_clock(settings, |clock| clock)
    }

    /// `shown` is what the runtime sees of the house's clock.
    pub fn with_clock<C: Clock>(settings: RuntimeSettings, shown: impl FnOnce(Arc<ManualClock>) -> Arc<C>) -> House {
        let ids = Arc::new(SeededIds::new(7));
        let clock = Arc::new(ManualClock::at(time("2027-03-01T08:00:00Z")));
        House::build(settings, Arc::default(), ids, &clock, shown(clock.clone()))
    }

    /// Another server on the same store.
    pub fn beside(&self) -> House {
        House::build(settings(), self.store.clone(), self.ids.clone(), &self.clock, self.clock.clone())
    }

    fn build(
        settings: RuntimeSettings,
        store: Arc<MemoryStore>,
        ids: Arc<SeededIds>,
        clock: &Arc<ManualClock>,
        shown: Arc<dyn Clock>,
    ) -> House {
        let ports = RuntimePorts {
            journal: store.clone(),
            streams: store.clone(),
            snapshots: store.clone(),
            idempotency: store.clone(),
            clock: shown,
            ids: ids.clone(),
        };
        House { runtime: Runtime::start(NODE, settings, ports), store, ids, clock: clock.clone() }
    }

    pub fn submission(&self, command: Command) -> Submission {
        self.submission_in(salon(), command)
    }

    pub fn submission_in(&self, reference: TenantReference, command: Command) -> Submission {
        let command_id = CommandId(self.ids.uuid());
        let key = format!("key-{command_id}");
        Submission {
            tenant_id: reference.tenant_id,
            command,
            precondition: None,
            context: context(reference),
            command_id,
            key: Some(key.clone()),
            metadata: format!(r#"{{"node_id":"{NODE}"}}"#).into(),
            sealed: Vec::new(),
            respond: Arc::new(move |verdict| respond(&key, verdict)),
            deadline: Instant::now() + Duration::from_secs(5),
        }
    }

    /// A booking with Anna.
    pub fn create(&self, at: Slot) -> (BookingId, Submission) {
        let booking_id = BookingId(self.ids.uuid());
        (booking_id, self.submission(creation(booking_id, ANNA, HAIRCUT, customer(0xC), at)))
    }

    pub async fn book(&self, at: Slot) -> Result<Executed, ExecutionError> {
        self.runtime.execute(self.create(at).1).await
    }

    /// Gives the customer one point.
    pub async fn reward(&self, customer_id: CustomerId) -> Result<Executed, ExecutionError> {
        self.runtime.execute(self.rewarding(customer_id)).await
    }

    pub fn rewarding(&self, customer_id: CustomerId) -> Submission {
        let adjust = LoyaltyCommand::Adjust { adjustment_id: self.ids.uuid(), points: 1 };
        self.submission(Command::LoyaltyBalance(customer_id, adjust))
    }

    pub async fn change(&self, booking_id: BookingId, command: BookingCommand) -> Result<Executed, ExecutionError> {
        self.runtime.execute(self.submission(Command::Booking(booking_id, command))).await
    }

    /// Waits until no more than `count` actors are active.
    pub async fn thinned_to(&self, count: usize) {
        until("actors stay", || self.runtime.active_actors() <= count).await;
    }

    pub fn versions(&self, stream: StreamId) -> Vec<u32> {
        self.store.events(stream).iter().map(|event| event.version.0).collect()
    }
}

/// 200 and the version, or 409; either is kept under the key.
fn respond(key: &str, verdict: &Verdict<'_>) -> Response {
    let (status, version) = match verdict {
        Verdict::Accepted { version, .. } => (200, Some(*version)),
        Verdict::Refused(_) => (409, None),
    };
    let answer = Answer { status, body: "{}".into(), version };
    let record = IdempotencyRecord {
        key: key.to_owned(),
        request_hash: [0; 32],
        status,
        answer: answer.body.clone(),
        sealed_for: None,
    };
    Response { answer, record: Some(record) }
}

/// Counts how often the command is decided.
pub fn count_decisions(submission: &mut Submission) -> Arc<AtomicUsize> {
    let decisions = Arc::new(AtomicUsize::new(0));
    let (counter, inner): (_, Respond) = (decisions.clone(), submission.respond.clone());
    submission.respond = Arc::new(move |verdict| {
        counter.fetch_add(1, Ordering::SeqCst);
        inner(verdict)
    });
    decisions
}

pub fn creation(
    booking_id: BookingId,
    staff_id: StaffId,
    service_id: ServiceId,
    customer_id: CustomerId,
    slot: Slot,
) -> Command {
    let price = Money { currency: Currency::Chf, amount: 8_000 };
    let create = BookingCommand::Create { booking_id, staff_id, service_id, customer_id, slot, price };
    Command::Booking(booking_id, create)
}

pub fn customer(number: u128) -> CustomerId {
    CustomerId(Uuid::from_u128(number))
}

pub fn anna() -> StreamId {
    stream(AggregateType::StaffUtilisation, ANNA.0)
}

pub fn points_of(customer_id: CustomerId) -> StreamId {
    stream(AggregateType::LoyaltyBalance, customer_id.0)
}

pub fn stream(aggregate_type: AggregateType, aggregate_id: Uuid) -> StreamId {
    stream_in(salon().tenant_id, aggregate_type, aggregate_id)
}

pub fn stream_in(tenant_id: TenantId, aggregate_type: AggregateType, aggregate_id: Uuid) -> StreamId {
    StreamId { tenant_id, aggregate_type, aggregate_id }
}

/// The `n`th hour of the day.
pub fn hour(n: i64) -> Slot {
    let first = slot("2027-03-02T00:00:00Z", 60);
    Slot::new(first.start.plus_minutes(60 * n), first.end.plus_minutes(60 * n)).unwrap()
}

#[track_caller]
pub fn status(executed: &Result<Executed, ExecutionError>) -> u16 {
    executed.as_ref().unwrap().answer.status
}

pub fn version(executed: &Result<Executed, ExecutionError>) -> Option<Version> {
    executed.as_ref().unwrap().answer.version
}

pub async fn until(complaint: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !reached() {
        assert!(Instant::now() < deadline, "{complaint}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
