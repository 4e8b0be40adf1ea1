use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Applied, Saves, below, events, live_actor, page};
use crate::envelope::RecordedEvent;
use crate::ids::AggregateType;

/// After a crash it would otherwise read again all that others have been given since its last own event.
#[actix::test]
async fn a_checkpoint_moves_with_the_feed_also_without_own_events() {
    let saves = Arc::new(Saves::default());
    let (actor, shown) = live_actor::<Applied>(saves.clone());
    let of_others: Vec<RecordedEvent> = events(1..=10)
        .iter()
        .cloned()
        .map(|mut recorded| {
            recorded.stream.aggregate_type = AggregateType::LoyaltyBalance;
            recorded
        })
        .collect();
    actor.send(page(of_others.into(), below(105))).await.unwrap();
    assert_eq!(shown.view().fold.events_applied, 0);
    let deadline = Instant::now() + Duration::from_secs(5);
    while saves.0.lock().unwrap().is_empty() {
        assert!(Instant::now() < deadline, "it is never saved");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*saves.0.lock().unwrap(), [below(105)]);
}
