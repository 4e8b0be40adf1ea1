//! An aggregate that can't be loaded is left alone for longer and longer, says for how long, and comes back by itself.

use std::time::Duration;

use codeccloud_actors::ids::EventId;
use codeccloud_actors::ports::{Ids, NewEvent};
use codeccloud_actors::runtime::{Executed, ExecutionError, RuntimeSettings};
use codeccloud_actors::testing::Fault;
use codeccloud_actors::time::{Slot, Timestamp};

use crate::appends::{append, append_as_another_node};
use crate::bounds::assert_unavailable;
use crate::house::{House, anna, customer, hour, settings, status};

pub fn patient() -> RuntimeSettings {
    RuntimeSettings {
        restart_backoff_min: Duration::from_millis(100),
        restart_backoff_max: Duration::from_millis(400),
        ..settings()
    }
}

#[track_caller]
pub fn pause(executed: &Result<Executed, ExecutionError>) -> Duration {
    let Err(ExecutionError::Unavailable { retry_after, .. }) = executed else { panic!("{executed:?}") };
    *retry_after
}

#[actix::test]
async fn the_pauses_double_up_to_a_bound_and_the_store_is_left_alone_meanwhile() {
    let house = House::new(patient());
    house.store.set_unreadable(anna(), true);
    for expected in [100, 200, 400, 400].map(Duration::from_millis) {
        let loads = house.store.loads();
        let left = pause(&house.book(hour(1)).await);
        assert!(left <= expected && left > expected / 2, "{left:?} of {expected:?}");
        let still_left = pause(&house.book(hour(1)).await);
        assert!(still_left < left, "it is what remains of the pause");
        assert_eq!(house.store.loads(), loads + 1, "one try per pause");
        assert_eq!(status(&house.reward(customer(1)).await), 200, "others are unaffected");
        tokio::time::sleep(still_left).await;
    }
    house.store.set_unreadable(anna(), false);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(status(&house.book(hour(1)).await), 200);
    house.store.set_unreadable(anna(), true);
    house.store.inject(Fault::Unavailable);
    assert_unavailable(&house.book(hour(2)).await);
    let left = pause(&house.book(hour(2)).await);
    assert!(left <= Duration::from_millis(100), "it starts small again: {left:?}");
}

#[actix::test]
async fn news_of_other_nodes_does_not_shorten_a_pause() {
    let house = House::new(patient());
    append_as_another_node(&house, hour(5));
    let news = house.store.events(anna());
    house.store.set_unreadable(anna(), true);
    pause(&house.book(hour(1)).await);
    let loads = house.store.loads();
    (0..20).for_each(|_| house.runtime.observe(&news));
    let left = pause(&house.book(hour(1)).await);
    assert!(left <= Duration::from_millis(100), "{left:?}");
    assert_eq!(house.store.loads(), loads);
}

#[actix::test]
async fn an_event_that_this_build_cannot_read_stops_its_aggregate_only() {
    let house = House::new(settings());
    let payload = "{}".into();
    append(&house, vec![event(&house, "no_such_event", payload, Timestamp::default())]);
    assert_unavailable(&house.book(hour(1)).await);
    assert_eq!(status(&house.reward(customer(1)).await), 200);
}

/// Arithmetic that overflows panics in a build with checks, such as this one.
#[actix::test]
async fn a_history_whose_folding_panics_stops_its_aggregate_only() {
    let house = House::new(settings());
    let payload = format!(
        r#"{{"booking_id":"{}","slot":{},"reason":"cancelled","days":[]}}"#,
        house.ids.uuid(),
        serde_json::to_string::<Slot>(&hour(1)).unwrap(),
    );
    append(&house, vec![event(&house, "slot_released", payload.into(), Timestamp::from_millis(i64::MIN))]);
    assert!(house.store.events(anna())[0].event.is_ok());
    let left = pause(&house.book(hour(1)).await);
    assert!(left <= settings().restart_backoff_min, "the actor outlives it: {left:?}");
    assert_eq!(status(&house.reward(customer(1)).await), 200);
}

fn event(house: &House, event_type: &'static str, payload: bytes::Bytes, occurred_at: Timestamp) -> NewEvent {
    NewEvent { event_id: EventId(house.ids.uuid()), event_type, schema_version: 1, payload, occurred_at }
}
