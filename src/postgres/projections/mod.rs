mod operators;
pub mod orders;

use codeccloud_actors::ids::{Position, TenantId};
use codeccloud_actors::ports::{ProjectionOrders, ProjectionStore, SavedProjection, StoreError};
use codeccloud_actors::projections::Stopped;
use futures_util::future::BoxFuture;
use tokio_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

pub use operators::PostgresProjectionOperators;

use super::{ConnectionPool, away};

/// Large models are cut into pieces that Postgres and the network like.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// A projection as a whole stands under this tenant in `event_projection_offsets`.
const ALL_TENANTS: Uuid = Uuid::nil();

pub struct PostgresProjectionStore {
    pool: ConnectionPool,
}

impl PostgresProjectionStore {
    /// `pool` is of projectors.
    pub fn new(pool: ConnectionPool) -> PostgresProjectionStore {
        PostgresProjectionStore { pool }
    }

    async fn read(&self, projection: &str) -> Result<Option<SavedProjection>, StoreError> {
        let mut client = self.pool.get().await.map_err(away)?;
        // One snapshot of both tables: another node may be saving.
        let transaction = client
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(away)?;
        let sql = "SELECT cursor, events_applied, generation FROM event_projection_offsets \
                   WHERE tenant_id = $1 AND projection = $2";
        let rows = transaction
            .query_typed(sql, &[(&ALL_TENANTS, Type::UUID), (&projection, Type::TEXT)])
            .await
            .map_err(away)?;
        let sql = "SELECT format, state FROM projection_snapshots WHERE projection = $1 ORDER BY chunk";
        let chunks = transaction.query_typed(sql, &[(&projection, Type::TEXT)]).await.map_err(away)?;
        let (Some(row), Some(first)) = (rows.first(), chunks.first()) else { return Ok(None) };
        let Some(cursor) = row.get::<_, Option<serde_json::Value>>(0) else { return Ok(None) };
        let state: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.get::<_, &[u8]>(1)).copied().collect();
        Ok(Some(SavedProjection {
            generation: u64::try_from(row.get::<_, i64>(2)).map_err(away)?,
            stopped: Vec::new(),
            cursor: serde_json::from_value(cursor).map_err(away)?,
            events_applied: u64::try_from(row.get::<_, i64>(1)).map_err(away)?,
            format: u16::try_from(first.get::<_, i16>(0)).map_err(away)?,
            state: state.into(),
        }))
    }

    async fn write(&self, projection: &str, saved: SavedProjection) -> Result<(), StoreError> {
        let mut client = self.pool.get().await.map_err(away)?;
        let transaction = client.transaction().await.map_err(away)?;
        let cursor = serde_json::to_value(saved.cursor).map_err(away)?;
        let events_applied = i64::try_from(saved.events_applied).map_err(away)?;
        let generation = i64::try_from(saved.generation).map_err(away)?;
        let sql = "INSERT INTO event_projection_offsets AS o \
                   (tenant_id, projection, cursor, events_applied, generation, updated_at) \
                   VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT (tenant_id, projection) DO UPDATE SET \
                   cursor = excluded.cursor, events_applied = excluded.events_applied, \
                   generation = excluded.generation, updated_at = now() WHERE o.generation <= excluded.generation";
        let params: Parameters<'_> = &[
            (&ALL_TENANTS, Type::UUID),
            (&projection, Type::TEXT),
            (&cursor, Type::JSONB),
            (&events_applied, Type::INT8),
            (&generation, Type::INT8),
        ];
        if transaction.execute_typed(sql, params).await.map_err(away)? == 0 {
            return Ok(());
        }
        replace_stopped(&transaction, projection, &saved.stopped).await?;
        let sql = "DELETE FROM projection_snapshots WHERE projection = $1";
        transaction.query_typed(sql, &[(&projection, Type::TEXT)]).await.map_err(away)?;
        let sql = "INSERT INTO projection_snapshots (projection, chunk, format, state) VALUES ($1, $2, $3, $4)";
        let format = i16::try_from(saved.format).map_err(away)?;
        for (number, chunk) in (0_i32..).zip(saved.state.chunks(CHUNK_BYTES)) {
            let params: Parameters<'_> =
                &[(&projection, Type::TEXT), (&number, Type::INT4), (&format, Type::INT2), (&chunk, Type::BYTEA)];
            transaction.query_typed(sql, params).await.map_err(away)?;
        }
        transaction.commit().await.map_err(away)
    }

    async fn mark_stopped(
        &self,
        projection: &str,
        tenant_id: TenantId,
        position: Position,
        reason: &str,
    ) -> Result<(), StoreError> {
        let client = self.pool.get().await.map_err(away)?;
        let params: Parameters<'_> =
            &[(&tenant_id.0, Type::UUID), (&projection, Type::TEXT), (&position.0, Type::INT8), (&reason, Type::TEXT)];
        client.query_typed(MARK_STOPPED, params).await.map(|_| ()).map_err(away)
    }

    async fn read_orders(&self, projection: &str) -> Result<ProjectionOrders, StoreError> {
        let client = self.pool.get().await.map_err(away)?;
        let sql = "SELECT coalesce(max(ordered_generation), 0), \
                       (SELECT coalesce(array_agg(position), '{}') \
                        FROM event_projection_offsets s, unnest(s.skipped_positions) position WHERE s.projection = $1) \
                   FROM event_projection_offsets WHERE projection = $1";
        let rows = client.query_typed(sql, &[(&projection, Type::TEXT)]).await.map_err(away)?;
        let row = rows.first().ok_or_else(|| away("an aggregate without a row"))?;
        Ok(ProjectionOrders {
            generation: u64::try_from(row.get::<_, i64>(0)).map_err(away)?,
            skipped: row.get::<_, Vec<i64>>(1).into_iter().map(Position).collect(),
        })
    }
}

type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

const MARK_STOPPED: &str = "INSERT INTO event_projection_offsets (tenant_id, projection, stopped_position, stopped_reason) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, projection) DO UPDATE SET \
     stopped_position = excluded.stopped_position, stopped_reason = excluded.stopped_reason, updated_at = now()";

/// What stands there for tenants is as the saved model has it.
async fn replace_stopped(
    transaction: &Transaction<'_>,
    projection: &str,
    stopped: &[(TenantId, Stopped)],
) -> Result<(), StoreError> {
    let tenants: Vec<Uuid> = stopped.iter().map(|(tenant_id, _)| tenant_id.0).collect();
    let sql = "UPDATE event_projection_offsets SET stopped_position = NULL, stopped_reason = NULL, updated_at = now() \
               WHERE projection = $1 AND stopped_position IS NOT NULL AND tenant_id <> ALL ($2)";
    transaction.execute_typed(sql, &[(&projection, Type::TEXT), (&tenants, Type::UUID_ARRAY)]).await.map_err(away)?;
    for (tenant_id, at) in stopped {
        let params: Parameters<'_> = &[
            (&tenant_id.0, Type::UUID),
            (&projection, Type::TEXT),
            (&at.position.0, Type::INT8),
            (&at.reason, Type::TEXT),
        ];
        transaction.execute_typed(MARK_STOPPED, params).await.map_err(away)?;
    }
    Ok(())
}

impl ProjectionStore for PostgresProjectionStore {
    fn load<'a>(&'a self, projection: &'a str) -> BoxFuture<'a, Result<Option<SavedProjection>, StoreError>> {
        Box::pin(self.read(projection))
    }

    fn save<'a>(&'a self, projection: &'a str, saved: SavedProjection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write(projection, saved))
    }

    fn stop_tenant<'a>(
        &'a self,
        projection: &'a str,
        tenant_id: TenantId,
        position: Position,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.mark_stopped(projection, tenant_id, position, reason))
    }

    fn orders<'a>(&'a self, projection: &'a str) -> BoxFuture<'a, Result<ProjectionOrders, StoreError>> {
        Box::pin(self.read_orders(projection))
    }
}
