//! Snapshots save time and are never believed more than the events.

use codeccloud_actors::aggregate::Aggregate;
use codeccloud_actors::aggregates::loyalty_balance::LoyaltyBalance;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, StreamId, Version};
use codeccloud_actors::metrics_catalogue as names;
use codeccloud_actors::ports::{Snapshot, SnapshotStore};
use codeccloud_actors::runtime::RuntimeSettings;
use codeccloud_actors::sagas::booking::{BookingCommand, BookingSaga};

use crate::counters;
use crate::house::{House, customer, hour, points_of, settings, status, stream, version};

/// The state after the first `versions` events of the stream.
pub fn folded<A: Aggregate>(house: &House, stream: StreamId, versions: Version) -> A {
    let mut state = A::default();
    for recorded in house.store.events(stream).iter().take(versions.0 as usize) {
        let event = A::Event::from_event(recorded.event.as_ref().unwrap()).unwrap();
        state.evolve(event, recorded.occurred_at);
    }
    state
}

/// The newest snapshot is of this version, and says what the events say.
#[track_caller]
pub fn assert_snapshot<A: Aggregate + PartialEq + std::fmt::Debug>(house: &House, stream: StreamId, at: u32) {
    let snapshot = house.store.snapshot(stream).unwrap();
    assert_eq!((snapshot.version, snapshot.format), (Version(at), A::STATE_FORMAT));
    let state: A = rmp_serde::from_slice(&snapshot.state).unwrap();
    assert_eq!(state, folded(house, stream, Version(at)));
}

#[actix::test]
async fn every_hundred_events_there_is_one_and_only_the_rest_is_read_again() {
    let house = House::new(settings());
    let points = points_of(customer(1));
    for n in 1..=250 {
        assert_eq!(version(&house.reward(customer(1)).await), Some(Version(n)));
        let snapshot = house.store.snapshot(points).map_or(0, |snapshot| snapshot.version.0);
        assert_eq!(snapshot, n / 100 * 100);
    }
    assert_snapshot::<LoyaltyBalance>(&house, points, 200);
    let again = house.beside();
    assert_eq!(version(&again.reward(customer(1)).await), Some(Version(251)));
    assert_eq!(house.store.events_read(), 50);
    for n in 252..=300 {
        assert_eq!(version(&again.reward(customer(1)).await), Some(Version(n)));
    }
    assert_snapshot::<LoyaltyBalance>(&house, points, 300);
}

/// Only the last aggregate of a command hands it to the journal; those before it count their events too.
#[actix::test]
async fn an_aggregate_that_asks_others_is_snapshotted_too() {
    let house = House::new(RuntimeSettings { snapshot_every: 2, ..settings() });
    let (booking_id, create) = house.create(hour(1));
    house.runtime.execute(create).await.unwrap();
    let saga = stream(AggregateType::Booking, booking_id.0);
    let moved = house.change(booking_id, BookingCommand::Reschedule { booking_id, slot: hour(2) }).await;
    assert_eq!(version(&moved), Some(Version(2)));
    assert_snapshot::<BookingSaga>(&house, saga, 2);
}

#[actix::test]
async fn an_unreadable_one_is_dropped_and_counted_and_the_events_have_it_all() {
    let unreadable = || counters::value(&names::SNAPSHOTS, "unreadable");
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.reward(customer(1)).await.unwrap();
    house.runtime.passivate_all();
    house.thinned_to(0).await;
    let good = house.store.snapshot(points_of(customer(1))).unwrap();
    let other_format = Snapshot { format: good.format + 1, ..good.clone() };
    let broken = Snapshot { state: vec![0xC1; 10].into(), ..good.clone() };
    let (mut counted, mut expected) = (unreadable(), Version(1));
    for bad in [other_format, broken] {
        house.store.save(Snapshot { version: expected, ..bad });
        assert_eq!(version(&house.reward(customer(1)).await), Some(expected.next()));
        assert_eq!(unreadable(), counted + 1);
        (counted, expected) = (counted + 1, expected.next());
        house.runtime.passivate_all();
        house.thinned_to(0).await;
        assert_snapshot::<LoyaltyBalance>(&house, points_of(customer(1)), expected.0);
    }
    assert_eq!(status(&house.book(hour(1)).await), 409);
    assert_eq!(unreadable(), counted, "good ones are not counted");
}
