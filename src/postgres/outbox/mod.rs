//! The outbox's rows. The pool's connections have the role `codeccloud_outbox`, which sees those of all tenants.

pub mod operators;

mod planning;
mod progress;
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
use crate::outbox::{Delivery, Depth, Handler, Mark, OutboxStore, PlanEntries, Planned, Room, SalonWords};
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

/// The lowest of its booking and target that is waiting goes first, also while it is being sent or pauses. Tenants take
/// turns, and none has more than its share; neither has any of their targets.
const TAKE: &str = "
    WITH RECURSIVE targets AS (
        (SELECT tenant_id, target_id FROM outbox_deliveries WHERE handler = $1 AND state = 'waiting'
            ORDER BY tenant_id, target_id LIMIT 1)
        UNION ALL
        SELECT next.tenant_id, next.target_id FROM targets t CROSS JOIN LATERAL (
            SELECT d.tenant_id, d.target_id FROM outbox_deliveries d
            WHERE d.handler = $1 AND d.state = 'waiting' AND (d.tenant_id, d.target_id) > (t.tenant_id, t.target_id)
            ORDER BY d.tenant_id, d.target_id LIMIT 1
        ) next
    ), under_way AS (
        SELECT * FROM unnest($7::uuid[], $8::uuid[]) sent (tenant_id, target_id)
    ), shares AS (
        SELECT t.tenant_id, t.target_id,
            (SELECT count(*) FROM under_way u WHERE u.tenant_id = t.tenant_id) AS of_tenant,
            (SELECT count(*) FROM under_way u WHERE u.tenant_id = t.tenant_id AND u.target_id = t.target_id) AS of_target
        FROM targets t
    ), turns AS (
        SELECT s.tenant_id, due.id, due.due_at, due.number, s.of_tenant + row_number() OVER (
            PARTITION BY s.tenant_id ORDER BY s.of_target + due.place, due.due_at, due.number
        ) AS turn
        FROM shares s CROSS JOIN LATERAL (
            SELECT d.id, d.due_at, d.number, row_number() OVER (ORDER BY d.due_at, d.number) AS place
            FROM outbox_deliveries d
            WHERE d.handler = $1 AND d.tenant_id = s.tenant_id AND d.target_id = s.target_id AND d.state = 'waiting'
                AND d.due_at <= now() AND NOT EXISTS (
                    SELECT FROM outbox_deliveries earlier
                    WHERE earlier.tenant_id = d.tenant_id AND earlier.target_id = d.target_id
                        AND earlier.aggregate_id = d.aggregate_id AND earlier.number < d.number
                        AND earlier.state = 'waiting'
                )
            ORDER BY d.due_at, d.number
            LIMIT greatest(least($5 - s.of_target, $4 - s.of_tenant), 0)
        ) due
    ), chosen AS (
        SELECT d.tenant_id, d.id FROM turns t JOIN outbox_deliveries d USING (tenant_id, id)
        WHERE t.turn <= $4 AND d.state = 'waiting' AND d.due_at <= now()
        ORDER BY t.turn, t.due_at, t.number
        LIMIT $6
        FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE outbox_deliveries taken
    SET attempts = attempts + 1, lease_id = $2, due_at = now() + make_interval(secs => $3)
    FROM chosen WHERE taken.tenant_id = chosen.tenant_id AND taken.id = chosen.id
    RETURNING taken.id, taken.entry_id, taken.tenant_id, taken.handler, taken.target_id, taken.message, taken.attempts";

/// What has ended is noted, so that its entry is marked.
const FINISH: &str = "
    WITH ended AS (
        UPDATE outbox_deliveries
        SET state = $4, lease_id = NULL, response_status = $6, reason = $7,
            attempts = attempts - CASE WHEN $8 THEN 0 ELSE 1 END,
            due_at = CASE WHEN $4 = 'waiting' THEN now() + make_interval(secs => $5) ELSE due_at END,
            finished_at = CASE WHEN $4 <> 'waiting' THEN now() END
        WHERE tenant_id = $1 AND id = $2 AND lease_id = $3 AND state = 'waiting'
        RETURNING tenant_id, entry_id, state
    ), noted AS (
        INSERT INTO app_private.outbox_finished (tenant_id, entry_id)
        SELECT e.tenant_id, e.entry_id FROM ended e, app_private.outbox_start s
        WHERE e.state IN ('done', 'skipped') AND s.marks_entries
    )
    SELECT EXISTS (SELECT FROM ended)";

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
        SELECT tenant_id, entry_id, waiting_since FROM outbox_deliveries WHERE state = 'waiting'
        UNION ALL
        SELECT tenant_id, entry_id, NULL FROM outbox_deliveries WHERE state = 'dead'
    ), unplanned AS (
        SELECT count(*) AS entries, min(e.created_at) AS since
        FROM app_private.outbox_start s JOIN outbox_events e ON e.id > greatest(s.planned_to, s.entry_id)
        WHERE s.entry_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM app_private.outbox_planned p WHERE p.entry_id = e.id)
    )
    SELECT u.entries + (SELECT count(DISTINCT (tenant_id, entry_id)) FROM open),
        coalesce(extract(epoch FROM now() - least(u.since, (SELECT min(waiting_since) FROM open))), 0)::float8,
        (SELECT count(*) FROM outbox_deliveries WHERE state = 'dead')
    FROM unplanned u";

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
    fn begin(&self, with_mail: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let mut client = self.pool.get().await.map_err(away)?;
            progress::begin(&mut client, with_mail).await.map_err(|error| away(described(&error)))
        }
        .boxed()
    }

    fn plan(&self, batch_max: usize, plan: PlanEntries) -> BoxFuture<'_, Result<Planned, StoreError>> {
        async move {
            let mut client = self.pool.get().await.map_err(away)?;
            let from = self.scan.lock().expect("nothing panics under this lock").from();
            let round = planning::round(&mut client, from, batch_max, &plan).await;
            let (planned, last) = round.map_err(|error| away(described(&error)))?;
            if let Planned::Entries { .. } = planned {
                self.scan.lock().expect("nothing panics under this lock").saw(from, last);
            }
            Ok(planned)
        }
        .boxed()
    }

    fn take<'a>(&'a self, room: &'a Room, lease: Duration) -> BoxFuture<'a, Result<Vec<Delivery>, StoreError>> {
        async move {
            let lease_id = SystemIds.uuid();
            let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            let (tenants, targets): (Vec<Uuid>, Vec<Uuid>) = room.under_way.iter().map(|(t, id)| (t.0, *id)).unzip();
            let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
                (&room.handler.as_str(), Type::TEXT),
                (&lease_id, Type::UUID),
                (&lease.as_secs_f64(), Type::FLOAT8),
                (&count(room.per_tenant), Type::INT8),
                (&count(room.per_target), Type::INT8),
                (&count(room.limit), Type::INT8),
                (&tenants, Type::UUID_ARRAY),
                (&targets, Type::UUID_ARRAY),
            ];
            let rows = self.query(TAKE, &parameters).await?;
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
                Mark::Retry { wait } | Mark::NotTried { wait } => ("waiting", *wait),
                Mark::Dead => ("dead", Duration::ZERO),
            };
            let counts = !matches!(mark, Mark::NotTried { .. });
            let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
                (&delivery.tenant_id.0, Type::UUID),
                (&delivery.id, Type::UUID),
                (&delivery.lease_id, Type::UUID),
                (&state, Type::TEXT),
                (&wait.as_secs_f64(), Type::FLOAT8),
                (&status.map(i32::from), Type::INT4),
                (&reason, Type::TEXT),
                (&counts, Type::BOOL),
            ];
            let rows = self.query(FINISH, &parameters).await?;
            Ok(rows.first().is_some_and(|row| row.get(0)))
        }
        .boxed()
    }

    fn mark(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let mut client = self.pool.get().await.map_err(away)?;
            progress::mark(&mut client).await.map_err(|error| away(described(&error)))
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
