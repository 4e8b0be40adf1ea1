//! What a rebuilt projection makes of the bus, whose windows are not those that it was read by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Actor;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::projection_actor::{Adopt, Batch, ProjectionActor, ProjectionSettings, Retain, Saved};
use super::published::{View, published};
use crate::envelope::RecordedEvent;
use crate::event::EventBody;
use crate::ids::{AggregateType, EventId, Position, StreamId, TenantId, Version};
use crate::ports::{FeedCursor, FeedPlace, OpenWindow, ProjectionStore, SavedProjection, StoreError};
use crate::projections::{Applicable, Fold, NotApplicable, Projection};
use crate::sagas::booking::{BookingConfirmed, BookingEvent};
use crate::testing::ManualClock;
use crate::time::Timestamp;

/// The versions that were applied, in order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Applied(Vec<u32>);

impl Projection for Applied {
    const NAME: &'static str = "applied";
    const FORMAT: u16 = 1;
    const FOLDS: AggregateType = AggregateType::Booking;

    fn apply(&mut self, event: &Applicable<'_>) -> Result<(), NotApplicable> {
        self.0.push(event.version.0);
        Ok(())
    }
}

struct NoStore;

impl ProjectionStore for NoStore {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<SavedProjection>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn save<'a>(&'a self, _: &'a str, _: SavedProjection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn stop_tenant<'a>(
        &'a self,
        _: &'a str,
        _: TenantId,
        _: Position,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Event `n` has version and position `n`, and was committed by transaction `10 * n`.
fn events(numbers: std::ops::RangeInclusive<u32>) -> Arc<[RecordedEvent]> {
    let event = |number: u32| RecordedEvent {
        event_id: EventId(Uuid::from_u128(number.into())),
        stream: StreamId {
            tenant_id: TenantId(Uuid::nil()),
            aggregate_type: AggregateType::Booking,
            aggregate_id: Uuid::nil(),
        },
        version: Version(number),
        place: FeedPlace { cluster_id: 1, transaction_id: u64::from(number) * 10, position: Position(number.into()) },
        occurred_at: Timestamp::from_millis(0),
        node_id: None,
        traceparent: None,
        event: Ok(BookingEvent::Confirmed(BookingConfirmed {}).into_event()),
    };
    numbers.map(event).collect()
}

fn below(low: u64) -> FeedCursor {
    FeedCursor { cluster_id: 1, low, ..FeedCursor::default() }
}

/// A page of the window up to `high`, whose events up to `after` are delivered.
fn within(low: u64, high: u64, after: i64) -> FeedCursor {
    let window = OpenWindow { high, after: Position(after), since_ms: 0 };
    FeedCursor { window: Some(window), ..below(low) }
}

#[actix::test]
async fn a_rebuilt_projection_has_each_event_once_wherever_the_bus_is() {
    let (publisher, shown) = published(View { fold: Fold::<Applied>::default(), live: true });
    let actor = ProjectionActor {
        fold: Fold::default(),
        follows: true,
        live: true,
        publisher,
        store: Arc::new(NoStore),
        clock: Arc::new(ManualClock::at(Timestamp::from_millis(0))),
        continue_trace: |_, _| {},
        settings: ProjectionSettings { save_every: Duration::from_secs(60), save_every_events: 1_000 },
        saved: Saved { at: Instant::now(), events_applied: 0, under_way: false },
        retained: None,
        successor: None,
    }
    .start();
    let deliver = async |numbers, cursor| {
        actor.send(Batch { events: events(numbers), cursor, caught_up: true }).await.unwrap();
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
