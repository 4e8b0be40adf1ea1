//! A save in short transactions: as long as one is open that has written something, the feeds of all nodes wait for it.

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::{SavedProjection, StoreError};
use codeccloud_actors::projections::Stopped;
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{ALL_TENANTS, MARK_STOPPED, Parameters};
use crate::postgres::pooled::PooledClient;
use crate::postgres::{ConnectionPool, away};

/// What one transaction writes: some milliseconds' worth.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Chunks lie first and count later, in one small step, so a save that breaks off changes nothing.
pub(super) async fn save(pool: &ConnectionPool, projection: &str, saved: &SavedProjection) -> Result<(), StoreError> {
    let mut client = pool.get().await.map_err(away)?;
    let save_id = write_chunks(&client, projection, saved).await?;
    let superseded = switch(&mut client, projection, saved, save_id).await?;
    remove(&client, projection, superseded.unwrap_or(save_id)).await?;
    remove_abandoned(&client, projection).await
}

async fn write_chunks(client: &PooledClient, projection: &str, saved: &SavedProjection) -> Result<Uuid, StoreError> {
    let rows = client.query_typed("SELECT gen_random_uuid()", &[]).await.map_err(away)?;
    let save_id: Uuid = rows.first().ok_or_else(|| away("no id for a save"))?.get(0);
    let format = i16::try_from(saved.format).map_err(away)?;
    let sql =
        "INSERT INTO projection_snapshots (projection, save_id, chunk, format, state) VALUES ($1, $2, $3, $4, $5)";
    for (number, chunk) in (0_i32..).zip(saved.state.chunks(CHUNK_BYTES)) {
        let params: Parameters<'_> = &[
            (&projection, Type::TEXT),
            (&save_id, Type::UUID),
            (&number, Type::INT4),
            (&format, Type::INT2),
            (&chunk, Type::BYTEA),
        ];
        client.execute_typed(sql, params).await.map_err(away)?;
    }
    Ok(save_id)
}

/// Makes it the save that counts, with its checkpoint. Returns the one that counted before; `None` when it is of a later
/// generation and goes on counting.
async fn switch(
    client: &mut PooledClient,
    projection: &str,
    saved: &SavedProjection,
    save_id: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    let transaction = client.transaction().await.map_err(away)?;
    let sql = "SELECT save_id FROM event_projection_offsets WHERE tenant_id = $1 AND projection = $2 FOR UPDATE";
    let params: Parameters<'_> = &[(&ALL_TENANTS, Type::UUID), (&projection, Type::TEXT)];
    let before = transaction.query_typed(sql, params).await.map_err(away)?;
    let cursor = serde_json::to_value(saved.cursor).map_err(away)?;
    let events_applied = i64::try_from(saved.events_applied).map_err(away)?;
    let generation = i64::try_from(saved.generation).map_err(away)?;
    let sql = "INSERT INTO event_projection_offsets AS o \
               (tenant_id, projection, cursor, events_applied, generation, save_id, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, now()) ON CONFLICT (tenant_id, projection) DO UPDATE SET \
               cursor = excluded.cursor, events_applied = excluded.events_applied, \
               generation = excluded.generation, save_id = excluded.save_id, updated_at = now() \
               WHERE o.generation <= excluded.generation";
    let params: Parameters<'_> = &[
        (&ALL_TENANTS, Type::UUID),
        (&projection, Type::TEXT),
        (&cursor, Type::JSONB),
        (&events_applied, Type::INT8),
        (&generation, Type::INT8),
        (&save_id, Type::UUID),
    ];
    if transaction.execute_typed(sql, params).await.map_err(away)? == 0 {
        return Ok(None);
    }
    replace_stopped(&transaction, projection, &saved.stopped).await?;
    transaction.commit().await.map_err(away)?;
    Ok(Some(before.first().map_or(Uuid::nil(), |row| row.get(0))))
}

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

/// Chunk by chunk, for the same reason as they were written so.
async fn remove(client: &PooledClient, projection: &str, save_id: Uuid) -> Result<(), StoreError> {
    let sql = "DELETE FROM projection_snapshots WHERE projection = $1 AND save_id = $2 AND chunk = \
                   (SELECT min(chunk) FROM projection_snapshots WHERE projection = $1 AND save_id = $2)";
    let params: Parameters<'_> = &[(&projection, Type::TEXT), (&save_id, Type::UUID)];
    while client.execute_typed(sql, params).await.map_err(away)? > 0 {}
    Ok(())
}

/// Saves that broke off. A young one may be another node's that is still being written.
async fn remove_abandoned(client: &PooledClient, projection: &str) -> Result<(), StoreError> {
    let sql = "SELECT DISTINCT s.save_id FROM projection_snapshots s \
               LEFT JOIN event_projection_offsets o \
                   ON o.tenant_id = $2 AND o.projection = s.projection AND o.save_id = s.save_id \
               WHERE s.projection = $1 AND o.save_id IS NULL AND s.saved_at < now() - interval '1 hour'";
    let params: Parameters<'_> = &[(&projection, Type::TEXT), (&ALL_TENANTS, Type::UUID)];
    for row in client.query_typed(sql, params).await.map_err(away)? {
        remove(client, projection, row.get(0)).await?;
    }
    Ok(())
}
