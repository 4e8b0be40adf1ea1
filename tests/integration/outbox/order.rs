//! Several workers at once: nothing overtakes, nothing is told twice without need.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::house::{House, Manner, quick};
use crate::support::receiver::Receiver;

const LIFE: [&str; 5] = ["scheduled", "rescheduled", "confirmed", "checked_in", "completed"];

/// The receiver refuses every third call, so that retries meet with what comes later.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_tell_of_each_booking_in_order() {
    let house = House::build().await;
    let receiver = Receiver::start(|_, before| {
        std::thread::sleep(Duration::from_millis(3));
        (if before % 3 == 1 { 503 } else { 204 }, String::new())
    });
    house.endpoint(&receiver.url).await;
    let manner = || Manner { schedule: quick(50), ..Manner::default() };
    let workers = [house.worker(manner()).await, house.worker(manner()).await];
    let mut bookings = Vec::new();
    for number in 0..12 {
        bookings.push(house.book(None, number * 2).await);
    }
    let later = "slot_start = slot_start + interval '20 minutes', slot_end = slot_end + interval '20 minutes'";
    for set in [later, "status = 'confirmed'", "status = 'checked_in'", "status = 'completed'"] {
        for booking in &bookings {
            house.change(*booking, set).await;
        }
    }
    house.settled().await;
    for worker in workers {
        worker.stop().await;
    }

    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut accepted = BTreeSet::new();
    let calls = receiver.calls();
    for call in calls.iter().filter(|call| call.status == 204) {
        assert!(accepted.insert(call.id().to_owned()), "accepted, and told again: {call:?}");
        let (booking, event) = call.event();
        heard.entry(booking).or_default().push(event);
    }
    assert_eq!(heard.len(), bookings.len());
    for (booking, events) in heard {
        assert_eq!(events, LIFE, "{booking}");
    }
    assert!(calls.iter().any(|call| call.status == 503), "no call was refused");
}

/// Until the earlier one is finished, whatever its receiver does.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_entry_waits_for_the_earlier_one_and_others_do_not() {
    let house = House::build().await;
    let receiver = Receiver::start(|call, _| {
        let is_slow = call.event().1 == "scheduled" && call.json()["data"]["customerId"].is_string();
        (if is_slow { 500 } else { 200 }, String::new())
    });
    house.endpoint(&receiver.url).await;
    let slow = house.book(Some(house.customer("zoe@example.ch").await), 0).await;
    house.change(slow, "status = 'confirmed'").await;
    let quick_one = house.book(None, 1).await;
    house.change(quick_one, "status = 'confirmed'").await;
    let worker = house.worker(Manner { schedule: quick(3), ..Manner::default() }).await;
    house.in_state("dead", 1).await;
    house.in_state("done", 3).await;
    // The entry with the dead letter stays open.
    house.open_entries(1).await;
    worker.stop().await;
    let calls = receiver.calls();
    let place = |booking: uuid::Uuid, event: &str, nth: usize| {
        let of = (booking.to_string(), event.to_owned());
        calls.iter().enumerate().filter(|(_, call)| call.event() == of).nth(nth).unwrap().0
    };
    assert!(place(slow, "confirmed", 0) > place(slow, "scheduled", 2), "it overtook");
    assert!(place(quick_one, "confirmed", 0) < place(slow, "scheduled", 2), "another booking had to wait");
}
