//! How a projection's actor behaves towards what the bus brings.

mod faults;
mod saves;
mod swap;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{Actor, Addr};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::projection_actor::{Batch, ProjectionActor, ProjectionSettings, Saved};
use super::published::{Published, View, published};
use crate::envelope::RecordedEvent;
use crate::event::EventBody;
use crate::ids::{AggregateType, EventId, Position, StreamId, TenantId, Version};
use crate::ports::{FeedCursor, FeedPlace, OpenWindow, ProjectionStore, SavedProjection, StoreError};
use crate::projections::{Applicable, Fold, NotApplicable, Projection};
use crate::sagas::booking::{BookingConfirmed, BookingEvent};
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

/// Remembers the checkpoints that it was given.
#[derive(Default)]
struct Saves(Mutex<Vec<FeedCursor>>);

impl ProjectionStore for Saves {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<SavedProjection>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn save<'a>(&'a self, _: &'a str, saved: SavedProjection) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.lock().unwrap().push(saved.cursor);
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

/// Has caught up, and is saved after ten events.
fn live_actor<P: Projection>(store: Arc<Saves>) -> (Addr<ProjectionActor<P>>, Published<P>) {
    let (publisher, shown) = published(View { fold: Fold::default(), live: true });
    let actor = ProjectionActor {
        fold: Fold::default(),
        follows: true,
        live: true,
        publisher,
        freshness: Arc::default(),
        store,
        continue_trace: |_, _| {},
        settings: ProjectionSettings { save_every: Duration::from_secs(60), save_every_events: 10 },
        saved: Saved { at: Instant::now(), events_since: 0, under_way: false },
        retained: None,
        successor: None,
    };
    (actor.start(), shown)
}

fn page(events: Arc<[RecordedEvent]>, cursor: FeedCursor) -> Batch {
    Batch { events, cursor, caught_up: true, read_at: Instant::now(), waiting_since: None }
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
