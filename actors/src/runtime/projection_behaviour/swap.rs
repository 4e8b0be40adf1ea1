//! What a rebuilt projection makes of the bus, whose windows are not those that it was read by itself.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Applied, Saves, below, events, live_actor, page, within};
use crate::projections::Fold;
use crate::runtime::projection_actor::{Adopt, Retain};

#[actix::test]
async fn a_rebuilt_projection_has_each_event_once_wherever_the_bus_is() {
    let (actor, shown) = live_actor::<Applied>(Arc::new(Saves::default()));
    let deliver = async |numbers, cursor| {
        actor.send(page(events(numbers), cursor)).await.unwrap();
        shown.view().fold.model.0.clone()
    };
    assert_eq!(deliver(1..=2, below(25)).await, [1, 2]);
    actor.send(Retain).await.unwrap();
    deliver(3..=3, within(25, 85, 3)).await;

    // The rebuild has read to a horizon in the midst of the window that the bus is at.
    let mut fold = Fold::<Applied>::default();
    fold.apply(&events(1..=6), below(65));
    let (swapped, mut swap) = oneshot::channel();
    actor.send(Adopt { fold, swapped }).await.unwrap();
    assert_eq!(deliver(4..=5, within(25, 85, 5)).await, [1, 2, 3, 4, 5], "the live one goes on");
    assert!(swap.try_recv().is_err(), "the bus would deliver again what the rebuild has");
    assert_eq!(deliver(6..=8, below(85)).await, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(swap.try_recv().is_ok());
    assert_eq!(deliver(9..=9, below(95)).await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}
