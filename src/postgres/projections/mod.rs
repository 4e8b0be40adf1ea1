mod operators;
pub mod orders;
mod saving;

use codeccloud_actors::ids::{Position, TenantId};
use codeccloud_actors::ports::{ProjectionOrders, ProjectionStore, SavedProjection, StoreError};
use futures_util::future::BoxFuture;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

pub use operators::PostgresProjectionOperators;

use super::{ConnectionPool, away};

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
        let transaction = client.snapshot().await.map_err(away)?;
        let sql = "SELECT cursor, events_applied, generation, save_id FROM event_projection_offsets \
                   WHERE tenant_id = $1 AND projection = $2";
        let rows = transaction
            .query_typed(sql, &[(&ALL_TENANTS, Type::UUID), (&projection, Type::TEXT)])
            .await
            .map_err(away)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let sql =
            "SELECT format, state FROM projection_snapshots WHERE projection = $1 AND save_id = $2 ORDER BY chunk";
        let params: Parameters<'_> = &[(&projection, Type::TEXT), (&row.get::<_, Uuid>(3), Type::UUID)];
        let chunks = transaction.query_typed(sql, params).await.map_err(away)?;
        let Some(first) = chunks.first() else { return Ok(None) };
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

impl ProjectionStore for PostgresProjectionStore {
    fn load<'a>(&'a self, projection: &'a str) -> BoxFuture<'a, Result<Option<SavedProjection>, StoreError>> {
        Box::pin(self.read(projection))
    }

    fn save<'a>(&'a self, projection: &'a str, saved: SavedProjection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { saving::save(&self.pool, projection, &saved).await })
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
