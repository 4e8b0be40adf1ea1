//! The operator's side: orders to the projections of all servers, and their answers. `projector` is a connection with that
//! role.

use codeccloud_actors::ids::{NodeId, Position, TenantId};
use codeccloud_actors::ports::ProjectionStatus;
use codeccloud_actors::projections::Stopped;
use tokio_postgres::Error;

use super::ALL_TENANTS;
use super::operators::CHANNEL;
use crate::postgres::PooledClient;

/// What a server said of its projections.
#[derive(Debug, Clone)]
pub struct NodeReport {
    pub node_id: NodeId,
    pub projections: Vec<ProjectionStatus>,
}

/// Asks all servers how things are; an order is heard of with the next inquiry. Returns its number.
pub async fn inquire(projector: &PooledClient) -> Result<i64, Error> {
    let inquiry = projector.query_one("SELECT nextval('projection_inquiries')", &[]).await?.get(0);
    projector.batch_execute(&format!("NOTIFY {CHANNEL}")).await?;
    Ok(inquiry)
}

/// The servers that have answered the inquiry, or a later one.
pub async fn reports(projector: &PooledClient, inquiry: i64) -> Result<Vec<NodeReport>, Error> {
    let sql = "SELECT node_id, projections FROM projection_reports WHERE inquiry >= $1 ORDER BY node_id";
    let rows = projector.query(sql, &[&inquiry]).await?;
    let reports = rows.iter().map(|row| NodeReport {
        node_id: NodeId(row.get(0)),
        // A server of another version may say it differently: better nothing than something wrong.
        projections: serde_json::from_value(row.get(1)).unwrap_or_default(),
    });
    Ok(reports.collect())
}

/// Has the projection folded anew. Returns the generation that models will have then.
pub async fn rebuild(projector: &PooledClient, projection: &str) -> Result<u64, Error> {
    let sql = "INSERT INTO event_projection_offsets AS o (tenant_id, projection, ordered_generation) VALUES ($1, $2, 1) \
               ON CONFLICT (tenant_id, projection) DO UPDATE SET ordered_generation = o.ordered_generation + 1 \
               RETURNING ordered_generation";
    let generation: i64 = projector.query_one(sql, &[&ALL_TENANTS, &projection]).await?.get(0);
    Ok(generation.unsigned_abs())
}

/// Where the tenant is stopped, if it is.
pub async fn stopped(
    projector: &PooledClient,
    projection: &str,
    tenant_id: TenantId,
) -> Result<Option<Stopped>, Error> {
    let sql = "SELECT stopped_position, stopped_reason FROM event_projection_offsets \
               WHERE tenant_id = $1 AND projection = $2 AND stopped_position IS NOT NULL";
    let row = projector.query_opt(sql, &[&tenant_id.0, &projection]).await?;
    Ok(row.map(|row| Stopped { position: Position(row.get(0)), reason: row.get(1) }))
}

/// Has one event passed over, in every fold from now on. It takes effect with a rebuild.
pub async fn skip(
    projector: &PooledClient,
    projection: &str,
    tenant_id: TenantId,
    position: Position,
) -> Result<(), Error> {
    let sql = "UPDATE event_projection_offsets SET skipped_positions = skipped_positions || $3, updated_at = now() \
               WHERE tenant_id = $1 AND projection = $2 AND $3 <> ALL (skipped_positions)";
    projector.execute(sql, &[&tenant_id.0, &projection, &position.0]).await.map(|_| ())
}
