//! What operators do with the outbox. They may do so beside running servers, which hear of it at once.

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::time::Timestamp;
use serde_json::json;
use tokio_postgres::types::Json;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::waker::CHANNEL;
use crate::postgres::PooledClient;
use crate::postgres::types::PgTime;

/// Which deliveries are meant: each `None` is any.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub tenant_id: Option<TenantId>,
    pub id: Option<Uuid>,
    pub state: Option<String>,
    pub handler: Option<String>,
}

#[derive(Debug, Clone)]
pub struct DeliveryRow {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub entry_id: i64,
    pub aggregate_id: Uuid,
    pub handler: String,
    pub target_id: Uuid,
    pub event_type: String,
    pub state: String,
    pub attempts: i32,
    pub due_at: Timestamp,
    pub response_status: Option<i32>,
    pub reason: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

pub(in crate::postgres) const COLUMNS: &str = "id, tenant_id, entry_id, aggregate_id, handler, target_id, event_type, \
    state, attempts, due_at, response_status, reason, created_at, finished_at";

const CHOSEN: &str = "($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR id = $2) \
    AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR handler = $4)";

/// Newest first.
pub async fn list(client: &PooledClient, choice: &Choice, limit: i64) -> Result<Vec<DeliveryRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM outbox_deliveries WHERE {CHOSEN} ORDER BY number DESC LIMIT $5");
    let tenant_id = choice.tenant_id.map(|id| id.0);
    let rows = client.query(&sql, &[&tenant_id, &choice.id, &choice.state, &choice.handler, &limit]).await?;
    Ok(rows.iter().map(delivery_row).collect())
}

/// What was given up, or skipped when nobody was there to tell, begins anew with all its attempts. Returns how many there were.
pub async fn retry(client: &mut PooledClient, choice: &Choice) -> Result<u64, Error> {
    let transaction = client.transaction().await?;
    let sql = format!(
        "UPDATE outbox_deliveries SET state = 'waiting', attempts = 0, due_at = now(), lease_id = NULL, finished_at = NULL, \
             waiting_since = now() \
         WHERE state IN ('dead', 'skipped') AND {CHOSEN}"
    );
    let tenant_id = choice.tenant_id.map(|id| id.0);
    let retried = transaction.execute(&sql, &[&tenant_id, &choice.id, &choice.state, &choice.handler]).await?;
    transaction.batch_execute(&format!("NOTIFY {CHANNEL}")).await?;
    transaction.commit().await?;
    Ok(retried)
}

/// They are marked once nothing of them is open.
const NOTE_ENDED: &str = "
    INSERT INTO app_private.outbox_finished (tenant_id, entry_id)
    SELECT ended.* FROM unnest($1::uuid[], $2::int8[]) ended, app_private.outbox_start s WHERE s.marks_entries";

/// Gives up for good what was not delivered, and says so in the audit log. A delivery that is on its way may still arrive.
pub async fn discard(client: &mut PooledClient, choice: &Choice, reason: &str) -> Result<u64, Error> {
    let transaction = client.transaction().await?;
    let sql = format!(
        "WITH open AS (
             SELECT tenant_id, id, state FROM outbox_deliveries WHERE state IN ('waiting', 'dead') AND {CHOSEN} FOR UPDATE
         )
         UPDATE outbox_deliveries d SET state = 'discarded', lease_id = NULL, finished_at = now() FROM open
         WHERE d.tenant_id = open.tenant_id AND d.id = open.id
         RETURNING d.tenant_id, d.id, open.state, d.entry_id"
    );
    let tenant_id = choice.tenant_id.map(|id| id.0);
    let rows = transaction.query(&sql, &[&tenant_id, &choice.id, &choice.state, &choice.handler]).await?;
    let audit = "INSERT INTO audit_log (tenant_id, event_type, entity, entity_id, before, after, context) \
                 VALUES ($1, 'update', 'outbox_deliveries', $2::uuid::text, $3, $4, $5)";
    for row in &rows {
        let (tenant_id, id): (Uuid, Uuid) = (row.get(0), row.get(1));
        let (before, after) = (json!({ "state": row.get::<_, &str>(2) }), json!({ "state": "discarded" }));
        let context = json!({ "source": "outbox discard", "reason": reason });
        transaction.execute(audit, &[&tenant_id, &id, &Json(before), &Json(after), &Json(context)]).await?;
    }
    let ended = rows.iter().map(|row| (row.get::<_, Uuid>(0), row.get::<_, i64>(3)));
    let (tenants, entries): (Vec<Uuid>, Vec<i64>) = ended.unzip();
    transaction.execute(NOTE_ENDED, &[&tenants, &entries]).await?;
    transaction.batch_execute(&format!("NOTIFY {CHANNEL}")).await?;
    transaction.commit().await?;
    Ok(rows.len() as u64)
}

/// Who sets `processed_at` of entries: this software, or the consumers that were there before it.
pub async fn marks_entries(client: &PooledClient) -> Result<bool, Error> {
    Ok(client.query_one("SELECT marks_entries FROM app_private.outbox_start", &[]).await?.get(0))
}

/// Of the entries that were planned while they were not ours to mark.
const NOTE_UNMARKED: &str = "
    INSERT INTO app_private.outbox_finished (tenant_id, entry_id)
    SELECT e.tenant_id, e.id FROM app_private.outbox_start s JOIN outbox_events e ON e.id > s.entry_id
    WHERE e.processed_at IS NULL
        AND (e.id <= s.planned_to OR EXISTS (SELECT FROM app_private.outbox_planned p WHERE p.entry_id = e.id))";

/// From now on, and for those since the worker began.
pub async fn mark_entries(client: &mut PooledClient, ours: bool) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let set = "UPDATE app_private.outbox_start SET marks_entries = $1 WHERE marks_entries <> $1";
    if transaction.execute(set, &[&ours]).await? > 0 {
        transaction.execute("DELETE FROM app_private.outbox_finished", &[]).await?;
        if ours {
            transaction.execute(NOTE_UNMARKED, &[]).await?;
        }
    }
    transaction.commit().await
}

/// No mail is planned any more, until a server with a mail server starts; what waits is skipped. Returns how much that was.
pub async fn stop_mail(client: &mut PooledClient) -> Result<u64, Error> {
    let transaction = client.transaction().await?;
    transaction.execute("UPDATE app_private.outbox_start SET sends_mail = false", &[]).await?;
    let skip = "UPDATE outbox_deliveries SET state = 'skipped', lease_id = NULL, finished_at = now(), \
                    reason = 'mail is no longer sent' \
                WHERE handler = 'email' AND state = 'waiting' RETURNING tenant_id, entry_id";
    let rows = transaction.query(skip, &[]).await?;
    let ended = rows.iter().map(|row| (row.get::<_, Uuid>(0), row.get::<_, i64>(1)));
    let (tenants, entries): (Vec<Uuid>, Vec<i64>) = ended.unzip();
    transaction.execute(NOTE_ENDED, &[&tenants, &entries]).await?;
    transaction.commit().await?;
    Ok(rows.len() as u64)
}

pub(in crate::postgres) fn delivery_row(row: &Row) -> DeliveryRow {
    DeliveryRow {
        id: row.get("id"),
        tenant_id: TenantId(row.get("tenant_id")),
        entry_id: row.get("entry_id"),
        aggregate_id: row.get("aggregate_id"),
        handler: row.get("handler"),
        target_id: row.get("target_id"),
        event_type: row.get("event_type"),
        state: row.get("state"),
        attempts: row.get("attempts"),
        due_at: row.get::<_, PgTime>("due_at").0,
        response_status: row.get("response_status"),
        reason: row.get("reason"),
        created_at: row.get::<_, PgTime>("created_at").0,
        finished_at: row.get::<_, Option<PgTime>>("finished_at").map(|PgTime(at)| at),
    }
}
