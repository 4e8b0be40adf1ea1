use std::collections::HashMap;
use std::time::Duration;

use codeccloud_actors::ids::StreamId;
use codeccloud_actors::metrics_catalogue as names;
use codeccloud_actors::ports::{Snapshot, SnapshotStore};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::types::PgTime;
use super::{ConnectionPool, Database, described};

/// Snapshots that may wait: passivating a crowd writes many at once, and the rest is rebuilt from events.
const QUEUE_MAX: usize = 4_096;
const BATCH_MAX: usize = 256;

/// Writes snapshots behind the aggregates' backs, many at a time.
pub struct PostgresSnapshots {
    queue: mpsc::Sender<Work>,
}

enum Work {
    Save(Snapshot),
    /// Answered once everything before it is written.
    Flush(oneshot::Sender<()>),
}

impl PostgresSnapshots {
    /// `pool` is of projectors.
    pub fn start(database: &Database, pool: ConnectionPool) -> PostgresSnapshots {
        let (queue, work) = mpsc::channel(QUEUE_MAX);
        database.io().spawn(write_all(pool, work));
        PostgresSnapshots { queue }
    }

    /// Waits for what is queued, at most `limit`.
    pub async fn flush(&self, limit: Duration) {
        let (written, waiting) = oneshot::channel();
        let flush = async {
            if self.queue.send(Work::Flush(written)).await.is_ok() {
                let _ = waiting.await;
            }
        };
        if tokio::time::timeout(limit, flush).await.is_err() {
            tracing::warn!("some snapshots were not written in time; they are rebuilt from events");
        }
    }
}

impl SnapshotStore for PostgresSnapshots {
    fn save(&self, snapshot: Snapshot) {
        if self.queue.try_send(Work::Save(snapshot)).is_err() {
            metrics::counter!(names::SNAPSHOTS.name, "outcome" => "dropped").increment(1);
        }
    }
}

async fn write_all(pool: ConnectionPool, mut queue: mpsc::Receiver<Work>) {
    let mut works = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut works, BATCH_MAX).await > 0 {
        // The newest of each stream: a statement can touch a row once only.
        let mut newest: HashMap<StreamId, Snapshot> = HashMap::new();
        let mut flushes = Vec::new();
        for work in works.drain(..) {
            match work {
                Work::Save(snapshot) => {
                    newest.insert(snapshot.stream, snapshot);
                }
                Work::Flush(written) => flushes.push(written),
            }
        }
        let count = newest.len() as u64;
        let outcome = match write(&pool, newest.into_values().collect()).await {
            Ok(()) => "written",
            Err(reason) => {
                tracing::warn!(%reason, snapshots = count, "snapshots could not be written; events have it all");
                "dropped"
            }
        };
        metrics::counter!(names::SNAPSHOTS.name, "outcome" => outcome).increment(count);
        for written in flushes {
            let _ = written.send(());
        }
    }
}

async fn write(pool: &ConnectionPool, snapshots: Vec<Snapshot>) -> Result<(), String> {
    if snapshots.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO snapshots AS s (tenant_id, aggregate_type, aggregate_id, version, recorded_at, format, state) \
               SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::timestamptz[], $6::smallint[], \
               $7::bytea[]) ORDER BY 1, 2, 3 \
               ON CONFLICT (tenant_id, aggregate_type, aggregate_id) DO UPDATE SET version = excluded.version, \
               recorded_at = excluded.recorded_at, format = excluded.format, state = excluded.state, saved_at = now() \
               WHERE s.version < excluded.version OR s.format <> excluded.format";
    let tenants: Vec<Uuid> = snapshots.iter().map(|snapshot| snapshot.stream.tenant_id.0).collect();
    let kinds: Vec<&str> = snapshots.iter().map(|snapshot| snapshot.stream.aggregate_type.as_str()).collect();
    let ids: Vec<Uuid> = snapshots.iter().map(|snapshot| snapshot.stream.aggregate_id).collect();
    let versions: Vec<i32> = snapshots.iter().map(|s| i32::try_from(s.version.0).unwrap_or(i32::MAX)).collect();
    let recorded: Vec<PgTime> = snapshots.iter().map(|snapshot| PgTime(snapshot.recorded_at)).collect();
    let formats: Vec<i16> = snapshots.iter().map(|s| i16::try_from(s.format).unwrap_or(i16::MAX)).collect();
    let states: Vec<&[u8]> = snapshots.iter().map(|snapshot| snapshot.state.as_ref()).collect();
    let client = pool.get().await.map_err(|error| error.to_string())?;
    client
        .query_typed(
            sql,
            &[
                (&tenants, Type::UUID_ARRAY),
                (&kinds, Type::TEXT_ARRAY),
                (&ids, Type::UUID_ARRAY),
                (&versions, Type::INT4_ARRAY),
                (&recorded, Type::TIMESTAMPTZ_ARRAY),
                (&formats, Type::INT2_ARRAY),
                (&states, Type::BYTEA_ARRAY),
            ],
        )
        .await
        .map(|_| ())
        .map_err(|error| described(&error))
}
