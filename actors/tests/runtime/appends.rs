//! What goes into one append, in which order, and what another node does to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use codeccloud_actors::aggregates::staff_utilisation::{SlotReserved, StaffUtilisationEvent};
use codeccloud_actors::answer::{Respond, Response};
use codeccloud_actors::command::Command;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, BookingId, CommandId, EventId, Version};
use codeccloud_actors::ports::{Append, Ids, NewEvent, StreamAppend};
use codeccloud_actors::runtime::{ExecutionError, Submission};
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::{HAIRCUT, salon, time};
use codeccloud_actors::time::Slot;
use futures_util::future::join_all;

use crate::house::{House, anna, count_decisions, customer, hour, points_of, settings, status, stream, until};

#[actix::test]
async fn a_booking_is_one_append_over_its_streams() {
    let house = House::new(settings());
    let (booking_id, create) = house.create(hour(9));
    assert_eq!(status(&house.runtime.execute(create).await), 200);
    let of_booking = house.store.events(stream(AggregateType::Booking, booking_id.0));
    let of_anna = house.store.events(anna());
    assert_eq!((of_booking.len(), of_anna.len()), (1, 1));
    assert_eq!(of_booking[0].place.transaction_id, of_anna[0].place.transaction_id);
}

#[actix::test]
async fn completing_moves_three_streams_at_once() {
    let house = House::new(settings());
    let (booking_id, create) = house.create(hour(9));
    house.runtime.execute(create).await.unwrap();
    for command in [BookingCommand::CheckIn, BookingCommand::Complete { booking_id }] {
        assert_eq!(status(&house.change(booking_id, command).await), 200);
    }
    let transaction = |stream| house.store.events(stream).last().unwrap().place.transaction_id;
    let completed = transaction(stream(AggregateType::Booking, booking_id.0));
    assert_eq!(transaction(points_of(customer(0xC))), completed);
    assert_eq!(transaction(anna()), completed);
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
        until("eleven commands are decided", || house.store.waiting() == 11).await;
        assert_eq!(house.store.events(anna()).len(), 1);
        house.store.release();
    };
    let (booked, refused, ()) = tokio::join!(bookings, refused, watching);
    assert!(booked.iter().all(|executed| status(executed) == 200));
    assert_eq!(status(&refused), 409);
    assert_eq!(house.versions(anna()), (1..=11).collect::<Vec<_>>());
}

#[actix::test]
async fn a_conflict_with_another_node_is_retried_on_the_new_state() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    append_as_another_node(&house, hour(5));
    assert_eq!(status(&house.book(hour(2)).await), 200);
    append_as_another_node(&house, hour(7));
    assert_eq!(status(&house.book(hour(7)).await), 409, "the other node's booking is seen");
}

/// What is pipelined behind an append that fails must not land on the stranger's event that took its place.
#[actix::test]
async fn a_version_that_another_node_has_taken_is_not_the_one_that_was_decided_on() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.hold();
    let meddling = async {
        until("two appends are on their way", || house.store.waiting() == 2).await;
        append_as_another_node(&house, hour(3));
        house.store.release();
    };
    let (second, third, ()) = tokio::join!(house.book(hour(2)), house.book(hour(3)), meddling);
    assert_eq!([status(&second), status(&third)], [200, 409]);
    assert_eq!(house.versions(anna()), [1, 2, 3]);
}

/// Such as one for a slot that nobody got in the end.
#[actix::test]
async fn a_refusal_is_given_only_if_its_state_has_become_durable() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.hold();
    let (_, late) = house.create(hour(2));
    let late = Submission { deadline: Instant::now() + Duration::from_millis(60), ..late };
    let meddling = async {
        until("two appends are on their way", || house.store.waiting() == 2).await;
        // Its caller has gone, so nobody decides it again.
        tokio::time::sleep_until(late.deadline.into()).await;
        append_as_another_node(&house, hour(5));
        house.store.release();
    };
    let (late, second, ()) = tokio::join!(house.runtime.execute(late.clone()), house.book(hour(2)), meddling);
    assert_eq!((late, status(&second)), (Err(ExecutionError::Timeout), 200));
}

/// A version that another node has reached is no mismatch, though this node has yet to hear of it. Such an answer is not
/// kept, so nothing but the check of the streams goes to the journal.
#[actix::test]
async fn a_precondition_is_held_against_the_store_and_not_against_memory() {
    let house = House::new(settings());
    let (booking_id, create) = house.create(hour(1));
    house.runtime.execute(create).await.unwrap();
    house.change(booking_id, BookingCommand::Confirm).await.unwrap();
    house.beside().change(booking_id, BookingCommand::CheckIn).await.unwrap();
    let completing = |seen| {
        let complete = house.submission(Command::Booking(booking_id, BookingCommand::Complete { booking_id }));
        let respond: Respond = complete.respond.clone();
        let respond: Respond = Arc::new(move |verdict| Response { record: None, ..respond(verdict) });
        house.runtime.execute(Submission { precondition: Some(Version(seen)), respond, ..complete })
    };
    assert_eq!(status(&completing(2).await), 409);
    assert_eq!(status(&completing(3).await), 200);
}

#[actix::test]
async fn what_another_node_wrote_is_known_before_the_next_command() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    append_as_another_node(&house, hour(5));
    house.runtime.observe(&house.store.events(anna()));
    let (_, mut create) = house.create(hour(2));
    let decisions = count_decisions(&mut create);
    assert_eq!(status(&house.runtime.execute(create).await), 200);
    assert_eq!(decisions.load(Ordering::SeqCst), 1);
    assert_eq!(house.store.loads(), 2);
}

#[actix::test]
async fn of_many_who_want_one_slot_one_gets_it() {
    let house = House::new(settings());
    let statuses = join_all((0..200).map(|_| house.book(hour(1)))).await;
    assert_eq!(statuses.iter().filter(|executed| status(executed) == 200).count(), 1);
}

pub fn append_as_another_node(house: &House, at: Slot) {
    let event = StaffUtilisationEvent::Reserved(SlotReserved {
        booking_id: BookingId(house.ids.uuid()),
        service_id: Some(HAIRCUT),
        slot: at,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        days: Vec::new(),
    });
    let events = vec![NewEvent {
        event_id: EventId(house.ids.uuid()),
        event_type: event.event_type(),
        schema_version: event.schema_version(),
        payload: event.payload(),
        occurred_at: time("2027-03-01T08:00:00Z"),
    }];
    append(house, events);
}

/// To Anna's stream, behind the runtime's back.
pub fn append(house: &House, events: Vec<NewEvent>) {
    let append = Append {
        tenant_id: salon().tenant_id,
        command_id: CommandId(house.ids.uuid()),
        metadata: "{}".into(),
        streams: vec![StreamAppend { stream: anna(), expected: house.store.head(anna()), events }],
        idempotency: None,
        sagas: Vec::new(),
        sealed: Vec::new(),
        rows: Vec::new(),
    };
    house.store.append(append).unwrap();
}
