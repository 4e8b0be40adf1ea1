//! The feed: events in a safe order, and what wakes its readers.
//!
//! Concurrent transactions commit out of sequence, so the feed goes by transaction ids: everything below the horizon, the
//! oldest transaction still running, is final. It advances from horizon to horizon, and delivers each such window whole, in
//! the order of positions. Within a stream that is the order of versions, since an append takes its positions while it
//! holds the stream's head.

mod horizon;
mod waker;

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use codeccloud_actors::ids::Position;
use codeccloud_actors::metrics_catalogue as names;
use codeccloud_actors::ports::{Feed, FeedCursor, FeedPage, OpenWindow, StoreError};
use codeccloud_actors::time::{DAY_MS, Timestamp};
use futures_util::future::BoxFuture;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

pub use waker::FeedWaker;

use super::pooled::PooledClient;
use super::rows::{EVENT_COLUMNS, recorded_event};
use super::types::{PgTime, Xid8};
use super::{ConnectionPool, away};
use horizon::HorizonWatch;

/// How far recorded times and the order of commits may disagree: a batch that waits for locks, a clock that is set back.
const CLOCK_MARGIN_MS: i64 = DAY_MS;

/// Observations that are remembered. Only the newest below the horizon counts, so a few suffice unless it is held.
const OBSERVATIONS_MAX: usize = 1024;

/// Whatever comes first. An observation costs a transaction id, and what lies between two of them is read over and over.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);
const OBSERVE_EVERY_EVENTS: usize = 500;

const SNAPSHOT: &str = "SELECT pg_snapshot_xmin(s), pg_snapshot_xmax(s), clock_timestamp(), \
     (SELECT system_identifier FROM pg_control_system()), \
     (SELECT last_value - (NOT is_called)::int FROM event_store_position_seq), \
     CASE WHEN $1 THEN pg_current_xact_id() END FROM pg_current_snapshot() s";

static PAGE_OF_THE_PAST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {EVENT_COLUMNS} FROM event_store WHERE cluster_id <> $1 AND position > $2 ORDER BY position LIMIT $3"
    )
});

static PAGE_OF_WINDOW: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {EVENT_COLUMNS} FROM event_store WHERE position > $1 AND recorded_at >= $2 AND cluster_id = $3 \
         AND transaction_id >= $4 AND transaction_id < $5 ORDER BY position LIMIT $6"
    )
});

#[derive(Debug, Clone)]
pub struct FeedSettings {
    /// How long a reader waits at most before it looks again.
    pub poll: Duration,
    /// How long commits share a read: under load, one per commit would cost more than the commits.
    pub coalesce: Duration,
    /// Events in a page.
    pub page_events: usize,
    /// From when on a held horizon is worth a warning.
    pub horizon_warn: Duration,
}

pub struct PostgresFeed {
    pool: ConnectionPool,
    waker: FeedWaker,
    settings: FeedSettings,
    observations: Mutex<Observations>,
    read_at: Mutex<Option<Instant>>,
    horizon: HorizonWatch,
}

/// The state of the database's transactions at the start of a read.
#[derive(Debug, Clone, Copy)]
struct Snapshot {
    /// All transactions below are over.
    horizon: u64,
    /// One beyond the newest transaction that is over; running ones may lie beyond it.
    next: u64,
    /// This statement's own transaction id, when it took one: whatever is beyond it began later.
    own: Option<u64>,
    now_ms: i64,
    cluster_id: i64,
    last_position: i64,
}

/// From when on transactions can have written: one whose id is at least `next` began after the time and the position
/// were read, so its events have later ones.
#[derive(Debug, Clone, Copy)]
struct Observation {
    next: u64,
    position: i64,
    time_ms: i64,
}

#[derive(Default)]
struct Observations {
    /// The last position and the time that any statement has read.
    newest_seen: Option<(i64, i64)>,
    /// Ascending.
    known: VecDeque<Observation>,
    newest_at: Option<Instant>,
    /// By all readers, since the newest.
    events: usize,
}

impl PostgresFeed {
    /// `pool` is of readers.
    pub fn new(pool: ConnectionPool, waker: FeedWaker, settings: FeedSettings) -> PostgresFeed {
        let horizon = HorizonWatch::new(settings.horizon_warn);
        PostgresFeed { pool, waker, settings, observations: Mutex::default(), read_at: Mutex::default(), horizon }
    }

    async fn page(&self, from: &FeedCursor) -> Result<FeedPage, StoreError> {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let client = self.pool.get().await.map_err(away)?;
        // As it is now: by the time the snapshot is here, another reader may have left what is newer than that.
        let before = self.observations().newest_seen;
        let snapshot = snapshot(&client, self.observation_is_due()).await?;
        self.observations().add(before, &snapshot);
        self.horizon.check(&client, snapshot.horizon, snapshot.next).await;
        let mut cursor = *from;
        if cursor.cluster_id != snapshot.cluster_id {
            if let Some(page) = self.page_of_the_past(&client, &cursor, snapshot.cluster_id).await? {
                return Ok(page);
            }
            cursor = FeedCursor { cluster_id: snapshot.cluster_id, low: 0, window: None, since_ms: 0, ..cursor };
        }
        self.page_of_window(&client, cursor, snapshot).await
    }

    /// Events that an earlier cluster committed, before this database was restored from it: all are final.
    async fn page_of_the_past(
        &self,
        client: &PooledClient,
        cursor: &FeedCursor,
        cluster_id: i64,
    ) -> Result<Option<FeedPage>, StoreError> {
        let limit = self.limit();
        let rows = client
            .query_prepared(
                &PAGE_OF_THE_PAST,
                &[(&cluster_id, Type::INT8), (&cursor.floor.0, Type::INT8), (&limit, Type::INT8)],
            )
            .await
            .map_err(away)?;
        let Some(last) = rows.last().map(position) else { return Ok(None) };
        let window = OpenWindow { high: u64::MAX, after: Position(last), since_ms: 0 };
        let next = FeedCursor { floor: Position(last), window: Some(window), ..*cursor };
        let events = rows.iter().filter_map(recorded_event).filter(|event| !cursor.covers(event.place)).collect();
        let waiting_since = rows.last().map(recorded_at);
        Ok(Some(FeedPage { events, cursor: next, caught_up: false, waiting_since }))
    }

    async fn page_of_window(
        &self,
        client: &PooledClient,
        cursor: FeedCursor,
        snapshot: Snapshot,
    ) -> Result<FeedPage, StoreError> {
        let high = cursor.window.map_or(snapshot.horizon, |window| window.high);
        if high <= cursor.low {
            let waiting_since = self.held_back(client, cursor, snapshot).await?;
            return Ok(FeedPage { events: Arc::new([]), cursor, caught_up: true, waiting_since });
        }
        let cursor = self.narrowed(cursor, cursor.low);
        let after = cursor.window.map_or(cursor.floor, |window| window.after.max(cursor.floor));
        let since_ms = cursor.window.map_or(cursor.since_ms, |window| window.since_ms.max(cursor.since_ms));
        let since = PgTime(Timestamp::from_millis((since_ms - CLOCK_MARGIN_MS).max(0)));
        let (low, limit) = (Xid8(cursor.low), self.limit());
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 6] = [
            (&after.0, Type::INT8),
            (&since, Type::TIMESTAMPTZ),
            (&cursor.cluster_id, Type::INT8),
            (&low, Type::XID8),
            (&Xid8(high), Type::XID8),
            (&limit, Type::INT8),
        ];
        let (mut events, mut count, mut last) = (Vec::new(), 0, None);
        let take = |row: Row| {
            events.extend(recorded_event(&row));
            count += 1;
            last = Some((position(&row), recorded_at(&row)));
        };
        client.each_row(&PAGE_OF_WINDOW, &params, take).await.map_err(away)?;
        self.observations().events += count;
        let full = count >= self.settings.page_events;
        let next = match last {
            Some((position, recorded_at)) if full => {
                let window = OpenWindow { high, after: Position(position), since_ms: recorded_at.as_millis() };
                FeedCursor { window: Some(window), ..cursor }
            }
            _ => self.narrowed(FeedCursor { low: high, window: None, ..cursor }, high),
        };
        if let Some((position, _)) = last {
            #[allow(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!(names::FEED_POSITION.name).set(position as f64);
        }
        let caught_up = !full && high >= snapshot.horizon;
        let waiting_since = match last {
            // The next page begins where this one ends.
            Some((_, recorded_at)) if full => Some(recorded_at),
            _ if caught_up => self.held_back(client, next, snapshot).await?,
            _ => None,
        };
        Ok(FeedPage { events: events.into(), cursor: next, caught_up, waiting_since })
    }

    /// When the oldest event was recorded that is committed beyond the horizon. Asked only about a horizon that has stood
    /// still for a while, and then once in a while: under load there is always some transaction open for a moment.
    async fn held_back(
        &self,
        client: &PooledClient,
        cursor: FeedCursor,
        snapshot: Snapshot,
    ) -> Result<Option<Timestamp>, StoreError> {
        if !self.horizon.is_worth_a_look(snapshot.horizon, snapshot.next) {
            return Ok(self.horizon.held_back(snapshot.horizon));
        }
        let since = PgTime(Timestamp::from_millis((cursor.since_ms - CLOCK_MARGIN_MS).max(0)));
        let sql = "SELECT recorded_at FROM event_store WHERE position > $1 AND recorded_at >= $2 AND cluster_id = $3 \
                   AND transaction_id >= $4 ORDER BY position LIMIT 1";
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
            (&cursor.floor.0, Type::INT8),
            (&since, Type::TIMESTAMPTZ),
            (&cursor.cluster_id, Type::INT8),
            (&Xid8(snapshot.horizon), Type::XID8),
        ];
        let rows = client.query_typed(sql, &params).await.map_err(away)?;
        let oldest = rows.first().map(recorded_at);
        self.horizon.found(snapshot.horizon, oldest);
        Ok(oldest)
    }

    fn observation_is_due(&self) -> bool {
        let observations = self.observations();
        observations.events >= OBSERVE_EVERY_EVENTS
            || observations.newest_at.is_none_or(|at| at.elapsed() >= OBSERVE_EVERY)
    }

    fn observations(&self) -> MutexGuard<'_, Observations> {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises the cursor's bounds to what is known of transactions from `low` on.
    fn narrowed(&self, cursor: FeedCursor, low: u64) -> FeedCursor {
        let mut observations = self.observations();
        let below = observations.known.partition_point(|observation| observation.next <= low);
        let Some(last) = below.checked_sub(1) else { return cursor };
        // Readers that are further behind have their own bounds in their cursors.
        observations.known.drain(..last);
        let known = observations.known[0];
        FeedCursor {
            floor: Position(known.position).max(cursor.floor),
            since_ms: known.time_ms.max(cursor.since_ms),
            ..cursor
        }
    }

    fn limit(&self) -> i64 {
        i64::try_from(self.settings.page_events).expect("a page is bounded")
    }
}

impl Observations {
    /// `before` is the position and the time of a statement that was over when the snapshot's began.
    fn add(&mut self, before: Option<(i64, i64)>, snapshot: &Snapshot) {
        if let (Some((position, time_ms)), Some(own)) = (before, snapshot.own) {
            let newest = self.known.back().map_or(0, |observation| observation.next);
            if own >= newest {
                self.known.push_back(Observation { next: own + 1, position, time_ms });
                self.newest_at = Some(Instant::now());
                self.events = 0;
            }
            if self.known.len() > OBSERVATIONS_MAX {
                self.thin_out();
            }
        }
        self.newest_seen = self.newest_seen.max(Some((snapshot.last_position, snapshot.now_ms)));
    }

    /// While the horizon is held, observations pile up; every other one serves as well.
    fn thin_out(&mut self) {
        let mut keep = false;
        self.known.retain(|_| {
            keep = !keep;
            keep
        });
    }
}

impl Feed for PostgresFeed {
    fn read<'a>(&'a self, cursor: &'a FeedCursor) -> BoxFuture<'a, Result<FeedPage, StoreError>> {
        Box::pin(self.page(cursor))
    }

    fn wait(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // A time-out is the poll.
            let _ = tokio::time::timeout(self.settings.poll, self.waker.awoken()).await;
            let read_at = *self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(rest) = read_at.and_then(|at| self.settings.coalesce.checked_sub(at.elapsed())) {
                tokio::time::sleep(rest).await;
            }
        })
    }
}

async fn snapshot(client: &PooledClient, observe: bool) -> Result<Snapshot, StoreError> {
    let row = client
        .query_prepared(SNAPSHOT, &[(&observe, Type::BOOL)])
        .await
        .map_err(away)?
        .pop()
        .ok_or_else(|| away("no snapshot"))?;
    let (Xid8(horizon), Xid8(next), PgTime(now)) = (row.get(0), row.get(1), row.get(2));
    let own = row.get::<_, Option<Xid8>>(5).map(|Xid8(own)| own);
    Ok(Snapshot { horizon, next, own, now_ms: now.as_millis(), cluster_id: row.get(3), last_position: row.get(4) })
}

fn recorded_at(row: &Row) -> Timestamp {
    let PgTime(recorded_at) = row.get("recorded_at");
    recorded_at
}

fn position(row: &Row) -> i64 {
    row.get("position")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(own: Option<u64>, last_position: i64) -> Snapshot {
        Snapshot { horizon: 1, next: 1, own, now_ms: last_position, cluster_id: 1, last_position }
    }

    /// A transaction that began between the two snapshots may have a position below the later one's.
    #[test]
    fn a_reader_does_not_take_what_another_saw_after_its_own_snapshot() {
        let mut observations = Observations::default();
        observations.add(None, &snapshot(None, 10));
        let (of_one, of_other) = (observations.newest_seen, observations.newest_seen);
        // The other's statement ran later, and its answer is here first.
        observations.add(of_other, &snapshot(None, 5_000));
        observations.add(of_one, &snapshot(Some(100), 20));
        assert_eq!(observations.known.back().map(|known| (known.next, known.position)), Some((101, 10)));
        assert_eq!(observations.newest_seen, Some((5_000, 5_000)), "and goes on with the newest");
    }
}
