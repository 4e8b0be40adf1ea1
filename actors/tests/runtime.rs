//! The runtime over a store in memory: order, retries, faults, panics, passivation.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use codeccloud_actors::answer::{Answer, Response, Verdict};
use codeccloud_actors::command::Command;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, BookingId, CommandId, CustomerId, EventId, NodeId, StreamId, Version};
use codeccloud_actors::money::{Currency, Money};
use codeccloud_actors::ports::{Append, IdempotencyRecord, Ids, NewEvent, StreamAppend};
use codeccloud_actors::runtime::{Executed, ExecutionError, Runtime, RuntimePorts, RuntimeSettings, Submission};
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::{
    ANNA, Fault, HAIRCUT, ManualClock, MemoryStore, SeededIds, context, salon, slot, time,
};
use codeccloud_actors::time::Slot;
use futures_util::future::join_all;
use uuid::Uuid;

const NODE: NodeId = NodeId(Uuid::from_u128(1));

struct House {
    store: Arc<MemoryStore>,
    runtime: Runtime,
    ids: Arc<SeededIds>,
}

fn settings() -> RuntimeSettings {
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
    fn new(settings: RuntimeSettings) -> House {
        let store = Arc::new(MemoryStore::default());
        let ids = Arc::new(SeededIds::new(7));
        let ports = RuntimePorts {
            journal: store.clone(),
            streams: store.clone(),
            snapshots: store.clone(),
            idempotency: store.clone(),
            clock: Arc::new(ManualClock::at(time("2027-03-01T08:00:00Z"))),
            ids: ids.clone(),
        };
        House { runtime: Runtime::start(NODE, settings, ports), store, ids }
    }

    fn submission(&self, command: Command) -> Submission {
        let reference = salon();
        let command_id = CommandId(self.ids.uuid());
        let key = format!("key-{command_id}");
        let recorded = key.clone();
        Submission {
            tenant_id: reference.tenant_id,
            command,
            precondition: None,
            context: context(reference),
            command_id,
            key,
            metadata: format!(r#"{{"node_id":"{NODE}"}}"#).into(),
            sealed: Vec::new(),
            respond: Arc::new(move |verdict| {
                let (status, version) = match verdict {
                    Verdict::Accepted { version, .. } => (200, Some(*version)),
                    Verdict::Refused(_) => (409, None),
                };
                let answer = Answer { status, body: "{}".into(), version };
                let record = IdempotencyRecord {
                    key: recorded.clone(),
                    request_hash: [0; 32],
                    status,
                    answer: answer.body.clone(),
                    sealed_for: None,
                };
                Response { answer, record: Some(record) }
            }),
            deadline: Instant::now() + Duration::from_secs(5),
        }
    }

    fn create(&self, at: Slot) -> (BookingId, Submission) {
        let booking_id = BookingId(self.ids.uuid());
        let create = BookingCommand::Create {
            booking_id,
            staff_id: ANNA,
            service_id: HAIRCUT,
            customer_id: CustomerId(Uuid::from_u128(0xC)),
            slot: at,
            price: Money { currency: Currency::Chf, amount: 8_000 },
        };
        (booking_id, self.submission(Command::Booking(booking_id, create)))
    }

    async fn book(&self, at: Slot) -> Result<Executed, ExecutionError> {
        self.runtime.execute(self.create(at).1).await
    }

    fn anna(&self) -> StreamId {
        stream(AggregateType::StaffUtilisation, ANNA.0)
    }
}

fn stream(aggregate_type: AggregateType, aggregate_id: Uuid) -> StreamId {
    StreamId { tenant_id: salon().tenant_id, aggregate_type, aggregate_id }
}

/// The `n`th hour of the day.
fn hour(n: i64) -> Slot {
    let first = slot("2027-03-02T00:00:00Z", 60);
    Slot::new(first.start.plus_minutes(60 * n), first.end.plus_minutes(60 * n)).unwrap()
}

#[actix::test]
async fn a_booking_is_one_append_over_its_streams() {
    let house = House::new(settings());
    let (booking_id, create) = house.create(hour(9));
    assert_eq!(house.runtime.execute(create).await.unwrap().answer.status, 200);
    let of_booking = house.store.events(stream(AggregateType::Booking, booking_id.0));
    let of_anna = house.store.events(house.anna());
    assert_eq!((of_booking.len(), of_anna.len()), (1, 1));
    assert_eq!(of_booking[0].place.transaction_id, of_anna[0].place.transaction_id);
}

#[actix::test]
async fn completing_moves_three_streams_at_once() {
    let house = House::new(settings());
    let (booking_id, create) = house.create(hour(9));
    house.runtime.execute(create).await.unwrap();
    for command in [BookingCommand::CheckIn, BookingCommand::Complete { booking_id }] {
        let submission = house.submission(Command::Booking(booking_id, command));
        assert_eq!(house.runtime.execute(submission).await.unwrap().answer.status, 200);
    }
    let booking = house.store.events(stream(AggregateType::Booking, booking_id.0));
    let points = house.store.events(stream(AggregateType::LoyaltyBalance, Uuid::from_u128(0xC)));
    let completed = booking.last().unwrap().place.transaction_id;
    assert_eq!(points.last().unwrap().place.transaction_id, completed);
    assert_eq!(house.store.events(house.anna()).last().unwrap().place.transaction_id, completed);
}

#[actix::test]
async fn commands_go_on_while_the_commit_is_under_way_and_none_is_answered_before_it() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.hold();
    let bookings = join_all((2..12).map(|n| house.book(hour(n))));
    // Decided on state that is not durable yet: its answer has to wait too.
    let refused = house.book(hour(2));
    let watching = async {
        while house.store.waiting() < 11 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(house.store.events(house.anna()).len(), 1);
        house.store.release();
    };
    let (booked, refused, ()) = tokio::join!(bookings, refused, watching);
    assert!(booked.iter().all(|executed| executed.as_ref().unwrap().answer.status == 200));
    assert_eq!(refused.unwrap().answer.status, 409);
    let versions: Vec<u32> = house.store.events(house.anna()).iter().map(|event| event.version.0).collect();
    assert_eq!(versions, (1..=11).collect::<Vec<_>>());
}

#[actix::test]
async fn a_conflict_with_another_node_is_retried_on_the_new_state() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    append_as_another_node(&house, hour(5));
    assert_eq!(house.book(hour(2)).await.unwrap().answer.status, 200);
    append_as_another_node(&house, hour(7));
    assert_eq!(house.book(hour(7)).await.unwrap().answer.status, 409, "the other node's booking is seen");
}

fn append_as_another_node(house: &House, at: Slot) {
    use codeccloud_actors::aggregates::staff_utilisation::{SlotReserved, StaffUtilisationEvent};
    let event = StaffUtilisationEvent::Reserved(SlotReserved {
        booking_id: BookingId(house.ids.uuid()),
        service_id: Some(HAIRCUT),
        slot: at,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        days: Vec::new(),
    });
    let expected = Version(u32::try_from(house.store.events(house.anna()).len()).unwrap());
    let events = vec![NewEvent {
        event_id: EventId(house.ids.uuid()),
        event_type: event.event_type(),
        schema_version: event.schema_version(),
        payload: event.payload(),
        occurred_at: time("2027-03-01T08:00:00Z"),
    }];
    let append = Append {
        tenant_id: salon().tenant_id,
        command_id: CommandId(house.ids.uuid()),
        metadata: "{}".into(),
        streams: vec![StreamAppend { stream: house.anna(), expected, events }],
        idempotency: None,
        sagas: Vec::new(),
        sealed: Vec::new(),
    };
    house.store.append(append).unwrap();
}

#[actix::test]
async fn a_lost_answer_is_found_by_its_key_and_not_decided_twice() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.inject(Fault::AnswerLost);
    let (_, create) = house.create(hour(2));
    let command_id = create.command_id;
    match house.runtime.execute(create).await {
        Err(ExecutionError::Duplicate(stored)) => assert_eq!((stored.command_id, stored.status), (command_id, 200)),
        other => panic!("{other:?}"),
    }
    assert_eq!(house.store.events(house.anna()).len(), 2);
    house.store.inject(Fault::LostBeforeCommit);
    assert_eq!(house.book(hour(3)).await.unwrap().answer.status, 200, "what was not committed is decided again");
    assert_eq!(house.store.events(house.anna()).len(), 3);
}

#[actix::test]
async fn a_full_queue_and_an_absent_database_are_answered_and_leave_the_state_as_it_was() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    for fault in [Fault::QueueFull, Fault::Unavailable] {
        house.store.inject(fault);
        let refused = house.book(hour(2)).await;
        assert!(matches!(refused, Err(ExecutionError::Unavailable { .. })), "{fault:?}: {refused:?}");
    }
    assert_eq!(house.book(hour(2)).await.unwrap().answer.status, 200);
}

#[actix::test]
async fn an_aggregate_that_cannot_be_loaded_is_tried_again_after_a_pause() {
    let house = House::new(settings());
    house.store.set_unreachable(true);
    let refused = house.book(hour(1)).await;
    assert!(matches!(refused, Err(ExecutionError::Unavailable { .. })), "{refused:?}");
    house.store.set_unreachable(false);
    let deadline = Instant::now() + Duration::from_secs(5);
    while house.book(hour(1)).await.is_err() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix::test]
async fn idle_actors_make_room_and_come_back_from_their_snapshots() {
    let house = House::new(RuntimeSettings { snapshot_every: 3, ..settings() });
    for n in 0..7 {
        house.book(hour(n)).await.unwrap();
    }
    assert_eq!(house.store.snapshot(house.anna()).unwrap().version, Version(6));
    house.runtime.passivate_all();
    let deadline = Instant::now() + Duration::from_secs(5);
    while house.runtime.active_actors() > 0 {
        assert!(Instant::now() < deadline, "actors stay");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(house.store.snapshot(house.anna()).unwrap().version, Version(7), "passivation writes one");
    assert_eq!(house.book(hour(3)).await.unwrap().answer.status, 409, "the slot is still taken");
    assert_eq!(house.book(hour(8)).await.unwrap().answer.status, 200);
}

#[actix::test]
async fn of_many_who_want_one_slot_one_gets_it() {
    let house = House::new(settings());
    let statuses = join_all((0..200).map(|_| house.book(hour(1)))).await;
    let booked = statuses.iter().filter(|executed| executed.as_ref().unwrap().answer.status == 200).count();
    assert_eq!(booked, 1);
}
