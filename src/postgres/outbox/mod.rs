//! The outbox's rows. The pool's connections have the role `codeccloud_outbox`, which sees those of all tenants.

pub mod operators;

mod planning;
mod waker;

use std::sync::Mutex;
use std::time::Duration;

use codeccloud_actors::ids::{ServiceId, StaffId, TenantId};
use codeccloud_actors::ports::StoreError;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use self::planning::Scan;
use super::{ConnectionPool, away, described};
use crate::clock::SystemIds;
use crate::outbox::{Delivery, Depth, Handler, Mark, OutboxStore, PlanEntries, Planned, SalonWords};
use codeccloud_actors::ports::Ids;

pub use waker::OutboxWaker;

/// Rows forgotten in one transaction.
const FORGET_ROWS: i64 = 1_000;

pub struct PostgresOutbox {
    pool: ConnectionPool,
    scan: Mutex<Scan>,
}

impl PostgresOutbox {
    pub fn new(pool: ConnectionPool) -> PostgresOutbox {
        PostgresOutbox { pool, scan: Mutex::default() }
    }

    async fn query(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, StoreError> {
        let client = self.pool.get().await.map_err(away)?;
        client.query_typed(sql, parameters).await.map_err(|error| away(described(&error)))
    }
}

/// The lowest of its booking and target that is waiting goes first, also while it is being sent or pauses.
const TAKE: &str = "
    WITH due AS (
        SELECT d.tenant_id, d.id FROM outbox_deliveries d
        WHERE d.state = 'waiting' AND d.due_at <= now() AND d.target_id <> ALL ($4)
            AND NOT EXISTS (
                SELECT FROM outbox_deliveries earlier
                WHERE earlier.tenant_id = d.tenant_id AND earlier.target_id = d.target_id
                    AND earlier.aggregate_id = d.aggregate_id AND earlier.number < d.number
                    AND earlier.state = 'waiting'
            )
        ORDER BY d.due_at, d.number
        LIMIT $1
        FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE outbox_deliveries taken
    SET attempts = attempts + 1, lease_id = $2, due_at = now() + make_interval(secs => $3)
    FROM due WHERE taken.tenant_id = due.tenant_id AND taken.id = due.id
    RETURNING taken.id, taken.entry_id, taken.tenant_id, taken.handler, taken.target_id, taken.message, taken.attempts";

const FINISH: &str = "SELECT app_private.finish_attempt($1, $2, $3, $4, $5, make_interval(secs => $6), $7, $8)";

const FORGET: &str = "
    WITH old AS (
        SELECT tenant_id, id FROM outbox_deliveries
        WHERE state IN ('done', 'skipped', 'discarded') AND finished_at < now() - make_interval(secs => $1) LIMIT $2
    ), past AS (
        SELECT tenant_id, booking_id FROM outbox_bookings WHERE slot_end < now() - interval '1 year' LIMIT $2
    ), forgotten AS (
        DELETE FROM outbox_deliveries d USING old WHERE d.tenant_id = old.tenant_id AND d.id = old.id RETURNING 1
    ), forgotten_bookings AS (
        DELETE FROM outbox_bookings b USING past WHERE b.tenant_id = past.tenant_id AND b.booking_id = past.booking_id
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM forgotten) + (SELECT count(*) FROM forgotten_bookings)";

const DEPTH: &str = "
    WITH open AS (
        SELECT e.created_at, EXISTS (
            SELECT FROM outbox_deliveries d WHERE d.tenant_id = e.tenant_id AND d.entry_id = e.id AND d.state = 'dead'
        ) AS is_dead
        FROM outbox_events e
        WHERE e.processed_at IS NULL AND e.id > (SELECT entry_id FROM app_private.outbox_start)
    )
    SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE NOT is_dead)), 0)::float8,
        (SELECT count(*) FROM outbox_deliveries WHERE state = 'dead')
    FROM open";

const LEFT_ALONE: &str = "
    SELECT count(*) FROM outbox_events
    WHERE processed_at IS NULL AND id <= (SELECT entry_id FROM app_private.outbox_start)";

const SALON: &str = "
    SELECT t.name, t.locale, coalesce(s.time_zone, 'Europe/Zurich'), service.name, staff.display_name
    FROM tenants t
    LEFT JOIN tenant_settings s ON s.tenant_id = t.id
    LEFT JOIN appointment_services service ON service.tenant_id = t.id AND service.id = $2
    LEFT JOIN staff_profiles staff ON staff.tenant_id = t.id AND staff.id = $3
    WHERE t.id = $1 AND t.deleted_at IS NULL";

impl OutboxStore for PostgresOutbox {
    fn plan(&self, batch_max: usize, plan: PlanEntries) -> BoxFuture<'_, Result<Planned, StoreError>> {
        async move {
            let mut client = self.pool.get().await.map_err(away)?;
            let from = self.scan.lock().expect("nothing panics under this lock").from();
            let round = planning::round(&mut client, from, batch_max, &plan).await;
            let (planned, last) = round.map_err(|error| away(described(&error)))?;
            if let Planned::Entries { read, .. } = planned {
                self.scan.lock().expect("nothing panics under this lock").saw(last, read < batch_max);
            }
            Ok(planned)
        }
        .boxed()
    }

    fn take<'a>(
        &'a self,
        limit: usize,
        lease: Duration,
        busy: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<Delivery>, StoreError>> {
        async move {
            let lease_id = SystemIds.uuid();
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = self
                .query(
                    TAKE,
                    &[
                        (&limit, Type::INT8),
                        (&lease_id, Type::UUID),
                        (&lease.as_secs_f64(), Type::FLOAT8),
                        (&busy, Type::UUID_ARRAY),
                    ],
                )
                .await?;
            Ok(rows.iter().filter_map(|row| delivery(row, lease_id)).collect())
        }
        .boxed()
    }

    fn finish<'a>(
        &'a self,
        delivery: &'a Delivery,
        mark: &'a Mark,
        status: Option<u16>,
        reason: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        async move {
            let (state, wait) = match mark {
                Mark::Done => ("done", Duration::ZERO),
                Mark::Skipped => ("skipped", Duration::ZERO),
                Mark::Retry { wait } => ("waiting", *wait),
                Mark::Dead => ("dead", Duration::ZERO),
            };
            let rows = self
                .query(
                    FINISH,
                    &[
                        (&delivery.tenant_id.0, Type::UUID),
                        (&delivery.id, Type::UUID),
                        (&delivery.lease_id, Type::UUID),
                        (&delivery.entry_id, Type::INT8),
                        (&state, Type::TEXT),
                        (&wait.as_secs_f64(), Type::FLOAT8),
                        (&status.map(i32::from), Type::INT4),
                        (&reason, Type::TEXT),
                    ],
                )
                .await?;
            Ok(rows.first().is_some_and(|row| row.get(0)))
        }
        .boxed()
    }

    fn forget(&self, kept: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let parameters: [(&(dyn ToSql + Sync), Type); 2] =
                [(&kept.as_secs_f64(), Type::FLOAT8), (&FORGET_ROWS, Type::INT8)];
            let rows = self.query(FORGET, &parameters).await?;
            Ok(rows.first().is_some_and(|row| row.get::<_, i64>(0) > 0))
        }
        .boxed()
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, StoreError>> {
        async move {
            let rows = self.query(DEPTH, &[]).await?;
            let row = rows.first().ok_or_else(|| away("no answer"))?;
            let oldest_age = Duration::from_secs_f64(row.get::<_, f64>(1).max(0.0));
            Ok(Depth { entries: row.get(0), oldest_age, dead: row.get(2) })
        }
        .boxed()
    }

    fn left_alone(&self) -> BoxFuture<'_, Result<i64, StoreError>> {
        async move { Ok(self.query(LEFT_ALONE, &[]).await?.first().map_or(0, |row| row.get(0))) }.boxed()
    }

    fn salon(
        &self,
        tenant_id: TenantId,
        service_id: Option<ServiceId>,
        staff_id: StaffId,
    ) -> BoxFuture<'_, Result<Option<SalonWords>, StoreError>> {
        async move {
            let service_id = service_id.map(|id| id.0);
            let parameters: [(&(dyn ToSql + Sync), Type); 3] =
                [(&tenant_id.0, Type::UUID), (&service_id, Type::UUID), (&staff_id.0, Type::UUID)];
            let rows = self.query(SALON, &parameters).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let zone: &str = row.get(2);
            let zone = TimeZone::get(zone).map_err(|error| away(format!("the tenant's time zone: {error}")))?;
            Ok(Some(SalonWords { name: row.get(0), locale: row.get(1), zone, service: row.get(3), staff: row.get(4) }))
        }
        .boxed()
    }
}

/// `None` for what only newer builds can read, as it is while they take this one's place: they get it when the lease ends.
fn delivery(row: &Row, lease_id: Uuid) -> Option<Delivery> {
    let id: Uuid = row.get(0);
    let message = serde_json::from_value(row.get(5));
    let (Some(handler), Ok(message)) = (Handler::parse(row.get(3)), message) else {
        tracing::warn!(delivery = %id, "a delivery of a newer build is left to it");
        return None;
    };
    Some(Delivery {
        id,
        entry_id: row.get(1),
        tenant_id: TenantId(row.get(2)),
        handler,
        target_id: row.get(4),
        message,
        attempt: u32::try_from(row.get::<_, i32>(6)).unwrap_or(1),
        lease_id,
    })
}
