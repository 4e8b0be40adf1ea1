use bytes::Bytes;
use codeccloud_actors::ids::{BookingId, Version};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::ports::{NewWebhook, Page, ReferenceError, WebhookChange, WebhookDeliveryView, WebhookView};
use crate::postgres::reference::{Change, found};
use crate::postgres::types::PgTime;
use crate::vault::SealedSecret;

const ENDPOINT: &str = "id, url, event_types, is_active, off_reason, version, created_at, updated_at, \
    CASE WHEN previous_secret_until > now() THEN previous_secret_until END AS previous_secret_until";

const DELIVERY: &str = "id, number, event_type, aggregate_id, state, attempts, \
    CASE WHEN state = 'waiting' THEN due_at END AS next_attempt_at, response_status, reason, created_at, finished_at";

pub(super) async fn list(change: &Change<'_>) -> Result<Vec<WebhookView>, ReferenceError> {
    let sql = format!("SELECT {ENDPOINT} FROM webhook_endpoints WHERE tenant_id = $1 ORDER BY created_at, id");
    let rows = change.query(&sql, &[(&change.tenant_id, Type::UUID)]).await?;
    Ok(rows.iter().map(endpoint).collect())
}

pub(super) async fn get(change: &Change<'_>, id: Uuid) -> Result<WebhookView, ReferenceError> {
    let sql = format!("SELECT {ENDPOINT} FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2");
    let rows = change.query(&sql, &[(&change.tenant_id, Type::UUID), (&id, Type::UUID)]).await?;
    rows.first().map(endpoint).ok_or(ReferenceError::NotFound("webhook"))
}

pub(super) async fn count(change: &Change<'_>) -> Result<i64, ReferenceError> {
    let sql = "SELECT count(*) FROM webhook_endpoints WHERE tenant_id = $1";
    Ok(change.query(sql, &[(&change.tenant_id, Type::UUID)]).await?.first().map_or(0, |row| row.get(0)))
}

/// Changes of one endpoint take turns, and each begins with the version that its caller has seen.
pub(super) async fn lock(change: &Change<'_>, id: Uuid, expected: Option<Version>) -> Result<(), ReferenceError> {
    let sql = "SELECT version FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2 FOR UPDATE";
    let rows = change.query(sql, &[(&change.tenant_id, Type::UUID), (&id, Type::UUID)]).await?;
    let row = rows.first().ok_or(ReferenceError::NotFound("webhook"))?;
    match expected {
        Some(expected) if expected != version(row.get(0)) => Err(ReferenceError::Outdated),
        Some(_) | None => Ok(()),
    }
}

/// To be called before an endpoint begins to hear.
pub(super) async fn note_bookings(change: &Change<'_>) -> Result<(), ReferenceError> {
    let sql = "SELECT app_private.note_bookings($1)";
    change.query(sql, &[(&change.tenant_id, Type::UUID)]).await.map(drop)
}

pub(super) async fn insert(
    change: &Change<'_>,
    id: Uuid,
    new: &NewWebhook,
    sealed: &SealedSecret,
) -> Result<(), ReferenceError> {
    let sql = "INSERT INTO webhook_endpoints (tenant_id, id, url, event_types, secret, secret_key_id) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let parameters = [
        (&change.tenant_id as _, Type::UUID),
        (&id as _, Type::UUID),
        (&new.url as _, Type::TEXT),
        (&new.event_types as _, Type::TEXT_ARRAY),
        (&&*sealed.ciphertext as _, Type::BYTEA),
        (&sealed.master_key_id as _, Type::TEXT),
    ];
    change.execute(sql, &parameters).await.map(drop)
}

pub(super) async fn update(change: &Change<'_>, id: Uuid, to: &WebhookChange) -> Result<(), ReferenceError> {
    let sql = "UPDATE webhook_endpoints SET url = coalesce($3, url), event_types = coalesce($4, event_types), \
                   is_active = coalesce($5, is_active), off_reason = CASE WHEN $5 IS NULL THEN off_reason END, \
                   version = version + 1, updated_at = now() \
               WHERE tenant_id = $1 AND id = $2";
    let parameters = [
        (&change.tenant_id as _, Type::UUID),
        (&id as _, Type::UUID),
        (&to.url as _, Type::TEXT),
        (&to.event_types as _, Type::TEXT_ARRAY),
        (&to.active as _, Type::BOOL),
    ];
    found(change.execute(sql, &parameters).await?, "webhook")
}

pub(super) async fn delete(change: &Change<'_>, id: Uuid) -> Result<(), ReferenceError> {
    let sql = "DELETE FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2";
    found(change.execute(sql, &[(&change.tenant_id, Type::UUID), (&id, Type::UUID)]).await?, "webhook")
}

/// A promise was given until when the previous one signs too, and there is room for one only.
pub(super) async fn demand_no_previous_secret(change: &Change<'_>, id: Uuid) -> Result<(), ReferenceError> {
    let sql = "SELECT previous_secret_until FROM webhook_endpoints \
               WHERE tenant_id = $1 AND id = $2 AND previous_secret_until > now()";
    let rows = change.query(sql, &[(&change.tenant_id, Type::UUID), (&id, Type::UUID)]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let until = row.get::<_, PgTime>(0).0;
    Err(ReferenceError::Conflict(format!("the secret before this one is still in use, until {until}")))
}

pub(super) async fn rotate(
    change: &Change<'_>,
    id: Uuid,
    sealed: &SealedSecret,
    previous_hours: u32,
) -> Result<(), ReferenceError> {
    let sql = "UPDATE webhook_endpoints SET previous_secret = secret, previous_secret_key_id = secret_key_id, \
                   previous_secret_until = now() + make_interval(hours => $5), secret = $3, secret_key_id = $4, \
                   version = version + 1, updated_at = now() \
               WHERE tenant_id = $1 AND id = $2";
    let hours = i32::try_from(previous_hours).unwrap_or(i32::MAX);
    let parameters = [
        (&change.tenant_id as _, Type::UUID),
        (&id as _, Type::UUID),
        (&&*sealed.ciphertext as _, Type::BYTEA),
        (&sealed.master_key_id as _, Type::TEXT),
        (&hours as _, Type::INT4),
    ];
    found(change.execute(sql, &parameters).await?, "webhook")
}

pub(super) async fn secret(change: &Change<'_>, id: Uuid) -> Result<SealedSecret, ReferenceError> {
    let sql = "SELECT secret, secret_key_id FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2";
    let rows = change.query(sql, &[(&change.tenant_id, Type::UUID), (&id, Type::UUID)]).await?;
    let row = rows.first().ok_or(ReferenceError::NotFound("webhook"))?;
    Ok(SealedSecret { ciphertext: Bytes::copy_from_slice(row.get(0)), master_key_id: row.get(1) })
}

pub(super) async fn deliveries(
    change: &Change<'_>,
    id: Uuid,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<WebhookDeliveryView>, ReferenceError> {
    let sql = format!(
        "SELECT {DELIVERY} FROM outbox_deliveries WHERE tenant_id = $1 AND target_id = $2 AND handler = 'webhook' \
         AND number < $3 ORDER BY number DESC LIMIT $4"
    );
    let (before, one_more) = (before.unwrap_or(i64::MAX), i64::try_from(limit + 1).unwrap_or(i64::MAX));
    let parameters = [
        (&change.tenant_id as _, Type::UUID),
        (&id as _, Type::UUID),
        (&before as _, Type::INT8),
        (&one_more as _, Type::INT8),
    ];
    let rows = change.query(&sql, &parameters).await?;
    let more = rows.len() > limit;
    Ok(Page { items: rows.iter().take(limit).map(delivery_view).collect(), more })
}

pub(super) async fn delivery(
    change: &Change<'_>,
    endpoint: Uuid,
    id: Uuid,
) -> Result<WebhookDeliveryView, ReferenceError> {
    let sql = format!(
        "SELECT {DELIVERY} FROM outbox_deliveries WHERE tenant_id = $1 AND target_id = $2 AND id = $3 \
         AND handler = 'webhook'"
    );
    let parameters = [(&change.tenant_id as _, Type::UUID), (&endpoint as _, Type::UUID), (&id as _, Type::UUID)];
    let rows = change.query(&sql, &parameters).await?;
    rows.first().map(delivery_view).ok_or(ReferenceError::NotFound("delivery"))
}

fn endpoint(row: &Row) -> WebhookView {
    let time = |name| row.get::<_, PgTime>(name).0;
    WebhookView {
        id: row.get("id"),
        url: row.get("url"),
        event_types: row.get("event_types"),
        active: row.get("is_active"),
        off_reason: row.get("off_reason"),
        previous_secret_until: row.get::<_, Option<PgTime>>("previous_secret_until").map(|PgTime(at)| at),
        version: version(row.get("version")),
        created_at: time("created_at"),
        updated_at: time("updated_at"),
    }
}

fn delivery_view(row: &Row) -> WebhookDeliveryView {
    let time = |name| row.get::<_, Option<PgTime>>(name).map(|PgTime(at)| at);
    let status: Option<i32> = row.get("response_status");
    WebhookDeliveryView {
        id: row.get("id"),
        number: row.get("number"),
        event_type: row.get("event_type"),
        booking_id: BookingId(row.get("aggregate_id")),
        state: row.get("state"),
        attempts: u32::try_from(row.get::<_, i32>("attempts")).unwrap_or(0),
        next_attempt_at: time("next_attempt_at"),
        response_status: status.and_then(|status| u16::try_from(status).ok()),
        reason: row.get("reason"),
        created_at: row.get::<_, PgTime>("created_at").0,
        finished_at: time("finished_at"),
    }
}

fn version(stored: i32) -> Version {
    Version(u32::try_from(stored).unwrap_or(0))
}
