//! Who is idle makes room, and comes back as it was.

use std::time::Duration;

use codeccloud_actors::ids::{AggregateType, CustomerId, Version};
use codeccloud_actors::runtime::RuntimeSettings;
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::Fault;
use futures_util::future::join_all;

use crate::bounds::assert_unavailable;
use crate::house::{House, anna, customer, hour, points_of, settings, status, stream, until, version};

#[actix::test]
async fn idle_actors_make_room_and_come_back_from_their_snapshots() {
    let house = House::new(RuntimeSettings { snapshot_every: 3, ..settings() });
    for n in 0..7 {
        house.book(hour(n)).await.unwrap();
    }
    assert_eq!(house.store.snapshot(anna()).unwrap().version, Version(6));
    house.runtime.passivate_all();
    house.thinned_to(0).await;
    assert_eq!(house.store.snapshot(anna()).unwrap().version, Version(7), "passivation writes one");
    let read = house.store.events_read();
    assert_eq!(status(&house.book(hour(3)).await), 409, "the slot is still taken");
    assert_eq!(status(&house.book(hour(8)).await), 200);
    assert_eq!(house.store.events_read(), read, "the snapshot has it all");
}

#[actix::test]
async fn who_is_idle_for_long_enough_is_let_go_and_who_is_asked_stays() {
    let house = House::new(RuntimeSettings { passivate_after: Duration::from_millis(700), ..settings() });
    house.reward(customer(1)).await.unwrap();
    let mut rewards = 0;
    while house.store.snapshot(points_of(customer(1))).is_none() {
        assert!(rewards < 500, "the idle one stays");
        house.reward(customer(2)).await.unwrap();
        rewards += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.thinned_to(1).await;
    assert!(house.store.snapshot(points_of(customer(2))).is_none(), "the busy one was let go");
    assert_eq!(version(&house.reward(customer(1)).await), Some(Version(2)));
}

#[actix::test]
async fn above_the_ceiling_the_longest_idle_make_room() {
    let house = House::new(RuntimeSettings { active_max: 20, ..settings() });
    let reward = async |n: u128| {
        assert_eq!(status(&house.reward(customer(n)).await), 200);
        tokio::time::sleep(Duration::from_millis(3)).await;
    };
    for n in 1..=20 {
        reward(n).await;
    }
    // The very first is the last that was asked.
    reward(1).await;
    for n in 21..=25 {
        reward(n).await;
        house.thinned_to(20).await;
    }
    let let_go = |n: u128| house.store.snapshot(points_of(customer(n))).is_some();
    assert!((2..=6).all(let_go));
    assert!(!let_go(1), "it was in use");
    assert!(!(10..=25).any(let_go), "others had been idle for longer");
    assert_eq!(version(&house.reward(customer(2)).await), Some(Version(2)), "it wakes with what it had");
}

#[actix::test]
async fn a_burst_beyond_the_ceiling_and_a_tenth_is_turned_away_and_fits_later() {
    let house = House::new(RuntimeSettings { active_max: 20, ..settings() });
    let customers: Vec<CustomerId> = (1..=40).map(customer).collect();
    let rewards = join_all(customers.iter().map(|id| house.reward(*id))).await;
    assert_eq!(rewards.iter().filter(|executed| executed.is_ok()).count(), 23);
    rewards[23..].iter().for_each(assert_unavailable);
    house.thinned_to(20).await;
    for id in &customers[23..] {
        house.thinned_to(22).await;
        assert_eq!(status(&house.reward(*id).await), 200);
    }
    for id in &customers[..23] {
        house.thinned_to(22).await;
        assert_eq!(version(&house.reward(*id).await), Some(Version(2)));
    }
}

/// What a failed append leaves in memory must not become a snapshot, or the store would contradict itself.
#[actix::test]
async fn a_state_that_never_became_durable_is_not_snapshotted() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.set_unreadable(anna(), true);
    house.store.inject(Fault::Unavailable);
    assert_unavailable(&house.book(hour(2)).await);
    house.runtime.passivate_all();
    house.thinned_to(0).await;
    assert!(house.store.snapshot(anna()).is_none());
    house.store.set_unreadable(anna(), false);
    assert_eq!(status(&house.book(hour(2)).await), 200);
}

/// The booking's actor hears that it is let go before it hears that its append has failed.
#[actix::test]
async fn nor_is_one_whose_append_fails_while_its_actor_is_let_go() {
    let house = House::new(settings());
    let (booking_id, create) = house.create(hour(1));
    house.runtime.execute(create).await.unwrap();
    house.store.hold();
    let failing = async {
        until("both commands have left", || house.store.waiting() == 2).await;
        house.runtime.passivate_all();
        house.store.inject(Fault::Unavailable);
        house.store.inject(Fault::Unavailable);
        house.store.release();
    };
    // The second waits for Anna's calendar, and its actor with it.
    let (confirmed, moved, ()) = tokio::join!(
        house.change(booking_id, BookingCommand::Confirm),
        house.change(booking_id, BookingCommand::Reschedule { booking_id, slot: hour(2) }),
        failing
    );
    assert_unavailable(&confirmed);
    assert_unavailable(&moved);
    house.thinned_to(0).await;
    let snapshot = house.store.snapshot(stream(AggregateType::Booking, booking_id.0));
    assert!(snapshot.is_none(), "version {} is not in the store", snapshot.unwrap().version);
}

/// An actor that is let go with commits under way is followed by another, which must not get in their way.
#[actix::test]
async fn letting_go_of_an_actor_with_commits_under_way_loses_none() {
    let house = House::new(settings());
    house.book(hour(0)).await.unwrap();
    house.store.hold();
    let passivating = async {
        until("four wait", || house.store.waiting() == 4).await;
        house.runtime.passivate_all();
        let following = house.book(hour(5));
        let releasing = async {
            until("the fifth waits", || house.store.waiting() == 5).await;
            house.store.release();
        };
        tokio::join!(following, releasing).0
    };
    let (booked, following) = tokio::join!(join_all((1..5).map(|n| house.book(hour(n)))), passivating);
    assert!(booked.iter().all(|executed| status(executed) == 200));
    assert_eq!(status(&following), 200);
    assert_eq!(house.versions(anna()), [1, 2, 3, 4, 5, 6]);
}
