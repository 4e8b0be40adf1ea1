use std::sync::LazyLock;

use codeccloud_actors::envelope::RecordedEvent;
use codeccloud_actors::ids::{EventId, StreamId, Version};
use codeccloud_actors::ports::{Head, LoadedStream, Snapshot, StoreError, StreamStore};
use codeccloud_actors::time::{DAY_MS, Timestamp};
use futures_util::future::BoxFuture;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::rows::{EVENT_COLUMNS, recorded_event};
use super::types::PgTime;
use super::{ConnectionPool, away};

/// Events in one read of a stream.
const PAGE_EVENTS: i64 = 1_000;

/// Recorded times of a stream's versions ascend but for clocks that are set back.
const CLOCK_MARGIN_MS: i64 = DAY_MS;

const HEAD: &str = "SELECT h.version, h.last_event_id, h.first_recorded_at, h.last_recorded_at, s.version, s.recorded_at, \
     s.format, s.state \
     FROM stream_heads h LEFT JOIN snapshots s USING (tenant_id, aggregate_type, aggregate_id) \
     WHERE h.tenant_id = $1 AND h.aggregate_type = $2 AND h.aggregate_id = $3";

static PAGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {EVENT_COLUMNS} FROM event_store WHERE tenant_id = $1 AND aggregate_type = $2 AND aggregate_id = $3 \
             AND version > $4 AND version <= $5 AND recorded_at >= $6 AND recorded_at <= $7 ORDER BY version LIMIT $8"
    )
});

/// Reads streams. The statements are planned anew each time, so that only the partitions in question are opened: waking
/// an aggregate costs the same with two of them as with a hundred and twenty.
pub struct PostgresStreams {
    pool: ConnectionPool,
}

impl PostgresStreams {
    /// `pool` is of readers.
    pub fn new(pool: ConnectionPool) -> PostgresStreams {
        PostgresStreams { pool }
    }

    async fn head(&self, stream: StreamId) -> Result<LoadedStream, StoreError> {
        let client = self.pool.get().await.map_err(away)?;
        let kind = stream.aggregate_type.as_str();
        let rows = client.query_prepared(HEAD, &key(&stream, &kind)).await.map_err(away)?;
        Ok(rows.first().map_or_else(|| empty(stream), |row| loaded(stream, row)))
    }

    async fn page(&self, loaded: &LoadedStream, after: Version) -> Result<Vec<RecordedEvent>, StoreError> {
        let since = match &loaded.snapshot {
            Some(snapshot) if after >= snapshot.version => snapshot.recorded_at,
            _ => loaded.first_recorded_at,
        };
        let kind = loaded.stream.aggregate_type.as_str();
        let (after, head) = (int(after), int(loaded.head.version));
        let since = PgTime(since.plus_millis(-CLOCK_MARGIN_MS));
        let until = PgTime(loaded.last_recorded_at.plus_millis(CLOCK_MARGIN_MS));
        let mut params = key(&loaded.stream, &kind).to_vec();
        params.extend([
            (&after as &(dyn ToSql + Sync), Type::INT4),
            (&head, Type::INT4),
            (&since, Type::TIMESTAMPTZ),
            (&until, Type::TIMESTAMPTZ),
            (&PAGE_EVENTS, Type::INT8),
        ]);
        let client = self.pool.get().await.map_err(away)?;
        let rows = client.query_prepared(&PAGE, &params).await.map_err(away)?;
        Ok(rows.iter().filter_map(recorded_event).collect())
    }
}

impl StreamStore for PostgresStreams {
    fn load(&self, stream: StreamId) -> BoxFuture<'_, Result<LoadedStream, StoreError>> {
        Box::pin(self.head(stream))
    }

    fn read<'a>(
        &'a self,
        loaded: &'a LoadedStream,
        after: Version,
    ) -> BoxFuture<'a, Result<Vec<RecordedEvent>, StoreError>> {
        Box::pin(self.page(loaded, after))
    }
}

fn key<'a>(stream: &'a StreamId, kind: &'a &'static str) -> [(&'a (dyn ToSql + Sync), Type); 3] {
    [(&stream.tenant_id.0, Type::UUID), (kind, Type::TEXT), (&stream.aggregate_id, Type::UUID)]
}

fn empty(stream: StreamId) -> LoadedStream {
    LoadedStream {
        stream,
        head: Head::NONE,
        snapshot: None,
        first_recorded_at: Timestamp::default(),
        last_recorded_at: Timestamp::default(),
    }
}

fn loaded(stream: StreamId, row: &Row) -> LoadedStream {
    let snapshot = row.get::<_, Option<i32>>(4).map(|snapshot_version| {
        let PgTime(recorded_at) = row.get(5);
        Snapshot {
            stream,
            version: version(snapshot_version),
            recorded_at,
            format: u16::try_from(row.get::<_, i16>(6)).unwrap_or(0),
            state: row.get::<_, Vec<u8>>(7).into(),
        }
    });
    let (PgTime(first_recorded_at), PgTime(last_recorded_at)) = (row.get(2), row.get(3));
    let head = Head { version: version(row.get(0)), last_event_id: Some(EventId(row.get(1))) };
    LoadedStream { stream, head, snapshot, first_recorded_at, last_recorded_at }
}

fn version(column: i32) -> Version {
    Version(u32::try_from(column).unwrap_or(0))
}

fn int(version: Version) -> i32 {
    i32::try_from(version.0).expect("a stream ends at 2^31 events")
}
