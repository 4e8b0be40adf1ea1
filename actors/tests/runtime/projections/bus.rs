//! The bus between a feed that fails and projections that must not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codeccloud_actors::ids::{Position, TenantId};
use codeccloud_actors::ports::{Feed, FeedCursor, FeedPage, ProjectionStore, SavedProjection, StoreError};
use codeccloud_actors::runtime::{AnyProjection, ProjectionPorts, ProjectionSettings, Projections};
use codeccloud_actors::testing::MemoryStore;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::house::{House, hour, settings, until};

/// Panics at every other read.
struct FragileFeed {
    store: Arc<MemoryStore>,
    reads: AtomicUsize,
}

impl Feed for FragileFeed {
    fn read<'a>(&'a self, cursor: &'a FeedCursor) -> BoxFuture<'a, Result<FeedPage, StoreError>> {
        async move {
            assert!(self.reads.fetch_add(1, Ordering::SeqCst).is_multiple_of(2), "a row that nobody has seen before");
            let history = self.store.history();
            let low = history.last().map_or(cursor.low, |event| event.place.transaction_id + 1);
            let events = history.into_iter().filter(|event| !cursor.covers(event.place)).collect();
            let cursor = FeedCursor { cluster_id: 1, low, ..FeedCursor::default() };
            Ok(FeedPage { events, cursor, caught_up: true, waiting_since: None })
        }
        .boxed()
    }

    fn wait(&self) -> BoxFuture<'_, ()> {
        tokio::time::sleep(Duration::from_millis(1)).boxed()
    }
}

struct NothingSaved;

impl ProjectionStore for NothingSaved {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<SavedProjection>, StoreError>> {
        async { Ok(None) }.boxed()
    }

    fn save<'a>(&'a self, _: &'a str, _: SavedProjection) -> BoxFuture<'a, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }

    fn stop_tenant<'a>(
        &'a self,
        _: &'a str,
        _: TenantId,
        _: Position,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }
}

#[actix::test]
async fn a_bus_that_panics_goes_on_where_it_was() {
    let house = House::new(settings());
    let ports = ProjectionPorts {
        feed: Arc::new(FragileFeed { store: house.store.clone(), reads: AtomicUsize::new(0) }),
        store: Arc::new(NothingSaved),
        clock: house.clock.clone(),
        continue_trace: |_, _| {},
    };
    let settings = ProjectionSettings { save_every: Duration::from_secs(60), save_every_events: 1_000 };
    let projections = Projections::start(ports, &settings, house.runtime.clone()).await.unwrap();
    for booked in 1..=3_u64 {
        house.book(hour(2 * i64::try_from(booked).unwrap())).await.unwrap();
        let summaries = &projections.appointment_summaries;
        until("the booking never arrives", || summaries.status().events_applied >= booked).await;
        assert_eq!(summaries.status().events_applied, booked);
        assert!(!summaries.is_frozen());
    }
}
