//! Queues have bounds: who finds one full is told at once, and nothing of it waits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use codeccloud_actors::runtime::{Executed, ExecutionError, RuntimeSettings};
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::Fault;
use futures_util::future::join_all;

use crate::house::{House, anna, count_decisions, customer, hour, settings, status, until};

#[actix::test]
async fn a_full_mailbox_turns_away_what_is_beyond_it_and_keeps_what_it_has() {
    let house = House::new(RuntimeSettings { mailbox_capacity: 5, ..settings() });
    house.store.hold_loads();
    let bookings = join_all((0..20).map(|n| house.book(hour(n))));
    let watching = async {
        // An aggregate with a mailbox of its own has room, and the loading one learns what comes in meanwhile.
        tokio::time::sleep(Duration::from_millis(20)).await;
        house.store.release_loads();
    };
    let (booked, ()) = tokio::join!(bookings, watching);
    assert_eq!(booked[..5].iter().map(status).collect::<Vec<_>>(), [200; 5]);
    booked[5..].iter().for_each(assert_unavailable);
    assert_eq!(house.versions(anna()), [1, 2, 3, 4, 5]);
    assert_eq!(status(&house.book(hour(19)).await), 200, "there is room again");
}

#[actix::test]
async fn a_mailbox_that_has_been_full_has_its_whole_room_again() {
    let house = House::new(RuntimeSettings { mailbox_capacity: 5, ..settings() });
    for round in 0..3 {
        house.store.hold_loads();
        house.runtime.passivate_all();
        house.thinned_to(0).await;
        let booking = join_all((0..8).map(|n| house.book(hour(10 * round + n))));
        let releasing = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            house.store.release_loads();
        };
        let (booked, ()) = tokio::join!(booking, releasing);
        assert_eq!(booked.iter().filter(|executed| executed.is_ok()).count(), 5, "round {round}");
    }
}

#[actix::test]
async fn a_full_journal_turns_away_what_is_beyond_it_and_leaves_no_gap() {
    let house = House::new(settings());
    house.book(hour(0)).await.unwrap();
    house.store.hold_at_most(4);
    let bookings = join_all((1..=9).map(|n| house.book(hour(n))));
    let watching = async {
        until("the journal is full", || house.store.waiting() == 4).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(house.store.waiting(), 4);
        house.store.release();
    };
    let (booked, ()) = tokio::join!(bookings, watching);
    assert_eq!(booked[..4].iter().map(status).collect::<Vec<_>>(), [200; 4]);
    booked[4..].iter().for_each(assert_unavailable);
    assert_eq!(house.versions(anna()), [1, 2, 3, 4, 5]);
    let (_, mut again) = house.create(hour(9));
    let decisions = count_decisions(&mut again);
    assert_eq!(status(&house.runtime.execute(again).await), 200);
    assert_eq!(decisions.load(Ordering::SeqCst), 1, "what was turned away was not kept either");
}

/// What is overloaded is not asked for the aggregates' states on top.
#[actix::test]
async fn what_was_turned_away_costs_no_aggregate_its_state() {
    let house = House::new(settings());
    let (booking_id, create) = house.create(hour(1));
    house.runtime.execute(create).await.unwrap();
    house.change(booking_id, BookingCommand::CheckIn).await.unwrap();
    house.reward(customer(0xC)).await.unwrap();
    let loads = house.store.loads();
    let completing = || house.change(booking_id, BookingCommand::Complete { booking_id });
    // Asks the customer's points and Anna's calendar, whose actor finds the journal full.
    house.store.inject(Fault::QueueFull);
    assert_unavailable(&completing().await);
    assert_eq!(house.store.loads(), loads);
    // The refusal of a slot that is taken leaves the calendar as it was.
    house.store.inject(Fault::Unavailable);
    assert_unavailable(&house.book(hour(1)).await);
    assert_eq!(status(&completing().await), 200);
    assert_eq!(house.store.loads(), loads);
}

#[actix::test]
async fn an_absent_database_is_answered_and_leaves_the_state_as_it_was() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.inject(Fault::Unavailable);
    assert_unavailable(&house.book(hour(2)).await);
    assert_eq!(status(&house.book(hour(2)).await), 200);
    assert_eq!(status(&house.reward(customer(1)).await), 200);
}

#[track_caller]
pub fn assert_unavailable(executed: &Result<Executed, ExecutionError>) {
    let Err(ExecutionError::Unavailable { retry_after, .. }) = executed else { panic!("{executed:?}") };
    assert!(*retry_after > Duration::ZERO);
}
