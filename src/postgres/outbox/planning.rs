//! A round of planning: one transaction, under a lock that only one process of all has at a time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use codeccloud_actors::ids::{BookingId, TenantId};
use codeccloud_actors::sagas::booking::BookingStatus;
use codeccloud_actors::time::Slot;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row, Transaction};
use uuid::Uuid;

use crate::outbox::{Endpoint, Entry, KnownBooking, NewDelivery, Operation, Plan, PlanEntries, Planned, Unplanned};
use crate::postgres::pooled::PooledClient;
use crate::postgres::types::PgTime;

/// `codecout` in ASCII.
const LOCK_KEY: i64 = 0x636f_6465_636f_7574;

/// Transactions commit out of the order of their entries' numbers: so far back is looked each time, and now and then down to
/// where all are planned. Entries of one booking do come in order, since each change of its row waits for the one before.
const LATE_ENTRIES: i64 = 10_000;
const FULL_SCAN_EVERY: Duration = Duration::from_secs(10);

/// Where to begin looking, so that what is planned is not passed over every time while an old transaction holds
/// `planned_to` back.
#[derive(Default)]
pub(super) struct Scan {
    from: i64,
    full_at: Option<Instant>,
}

impl Scan {
    /// `None` is everywhere.
    pub fn from(&mut self) -> Option<i64> {
        self.full_at.is_some_and(|at| at.elapsed() < FULL_SCAN_EVERY).then_some(self.from)
    }

    /// After a look from there; what comes next lies behind `last`.
    pub fn saw(&mut self, from: Option<i64>, last: Option<i64>) {
        if from.is_none() {
            self.full_at = Some(Instant::now());
        }
        self.from = self.from.max(last.unwrap_or(0) - LATE_ENTRIES);
    }
}

/// A stopped process must not keep the lock, and a lock of somebody else's must not keep this one.
const BEGIN: &str = "SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL lock_timeout = '2s'";

const START: &str = "
    SELECT greatest(entry_id, planned_to), sends_mail, pg_snapshot_xmin(pg_current_snapshot())::text
    FROM app_private.outbox_start WHERE entry_id IS NOT NULL";

/// Whatever `processed_at` says: other consumers go by it.
const UNPLANNED: &str = "
    SELECT e.id, e.tenant_id, e.aggregate, e.aggregate_id, e.event_type, e.payload, e.created_at FROM outbox_events e
    WHERE e.id > $1 AND NOT EXISTS (SELECT FROM app_private.outbox_planned p WHERE p.entry_id = e.id)
    ORDER BY e.id LIMIT $2";

const KNOWN: &str = "
    SELECT b.tenant_id, b.booking_id, b.status, b.slot_start, b.slot_end, b.version, b.sequence
    FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[]) asked (tenant_id, booking_id)) asked
    JOIN outbox_bookings b USING (tenant_id, booking_id)";

const ENDPOINTS: &str = "
    SELECT tenant_id, id, event_types FROM webhook_endpoints
    WHERE tenant_id = ANY ($1) AND is_active ORDER BY created_at, id";

const ADD_DELIVERIES: &str = "
    INSERT INTO outbox_deliveries (tenant_id, id, entry_id, aggregate_id, handler, target_id, event_type, message)
    SELECT tenant_id, id, entry_id, aggregate_id, handler, target_id, event_type, message::jsonb
    FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::text[])
        WITH ORDINALITY added (tenant_id, id, entry_id, aggregate_id, handler, target_id, event_type, message, place)
    ORDER BY place";

const PUT_KNOWN: &str = "
    INSERT INTO outbox_bookings AS b (tenant_id, booking_id, status, slot_start, slot_end, version, sequence)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::int[], $7::int[])
    ON CONFLICT (tenant_id, booking_id) DO UPDATE SET
        status = excluded.status, slot_start = excluded.slot_start, slot_end = excluded.slot_end,
        version = excluded.version, sequence = excluded.sequence, updated_at = now()";

const PUT_PLANNED: &str = "
    INSERT INTO app_private.outbox_planned (entry_id, horizon)
    SELECT entry_id, pg_snapshot_xmax(pg_current_snapshot()) FROM unnest($1::int8[]) planned (entry_id)";

const NOTE_FINISHED: &str = "
    INSERT INTO app_private.outbox_finished (tenant_id, entry_id)
    SELECT finished.* FROM unnest($1::uuid[], $2::int8[]) finished, app_private.outbox_start s WHERE s.marks_entries";

/// An entry is numbered before its transaction commits. Once the transactions have ended that ran when an entry was planned,
/// all entries below it can be seen. A few seconds are for one that has a number and no transaction id yet; one that is open
/// for a day is not waited for. A horizon in the future is of the cluster that a dump was made of. Behind the end of what was
/// read, entries may be unplanned for want of room in the batch.
const ADVANCE: &str = "
    WITH passed AS (
        SELECT max(entry_id) AS entry_id FROM app_private.outbox_planned
        WHERE entry_id <= $2 AND planned_at < now() - interval '10 seconds' AND (
            horizon <= $1::text::xid8 OR planned_at < now() - interval '1 day'
            OR horizon > pg_snapshot_xmax(pg_current_snapshot())
        )
    ), moved AS (
        UPDATE app_private.outbox_start s SET planned_to = p.entry_id FROM passed p WHERE p.entry_id > s.planned_to
    )
    DELETE FROM app_private.outbox_planned planned USING passed p WHERE planned.entry_id <= p.entry_id";

/// What was done, and the last entry up to which all were read. `from` is none for a look at all.
pub(super) async fn round(
    client: &mut PooledClient,
    from: Option<i64>,
    batch_max: usize,
    plan: &PlanEntries,
) -> Result<(Planned, Option<i64>), Error> {
    let unfinished = client.unfinished();
    let working = async {
        let transaction = client.transaction().await?;
        transaction.batch_execute(BEGIN).await?;
        let lock = transaction.query_typed("SELECT pg_try_advisory_xact_lock($1)", &[(&LOCK_KEY, Type::INT8)]).await?;
        let start = transaction.query_typed(START, &[]).await?;
        let (true, Some(start)) = (lock.first().is_some_and(|row| row.get(0)), start.first()) else {
            return Ok((Planned::Elsewhere, None));
        };
        let (planned_to, oldest_running): (i64, &str) = (start.get(0), start.get(2));
        let mut unplanned = Unplanned {
            entries: entries(&transaction, from.map_or(planned_to, |from| from.max(planned_to)), batch_max).await?,
            sends_mail: start.get(1),
            ..Unplanned::default()
        };
        unplanned.leave_out_beyond(batch_max);
        let read = unplanned.entries.len();
        let last = unplanned.entries.iter().take(batch_max).next_back().map(|entry| entry.id);
        let deliveries = plan_batch(&transaction, &mut unplanned, plan).await?;
        if from.is_none() {
            let end = last.filter(|_| read >= batch_max).unwrap_or(i64::MAX);
            transaction.execute_typed(ADVANCE, &[(&oldest_running, Type::TEXT), (&end, Type::INT8)]).await?;
        }
        transaction.commit().await?;
        Ok((Planned::Entries { read, deliveries }, last))
    };
    unfinished.watched(working).await
}

async fn plan_batch(
    transaction: &Transaction<'_>,
    unplanned: &mut Unplanned,
    plan: &PlanEntries,
) -> Result<usize, Error> {
    if unplanned.entries.is_empty() {
        return Ok(0);
    }
    unplanned.known = known(transaction, &unplanned.entries).await?;
    unplanned.endpoints = endpoints(transaction, &unplanned.entries).await?;
    let plan = plan(unplanned);
    let planned: Vec<i64> = unplanned.entries.iter().map(|entry| entry.id).collect();
    transaction.execute_typed(PUT_PLANNED, &[(&planned, Type::INT8_ARRAY)]).await?;
    write(transaction, &plan).await?;
    Ok(plan.deliveries.len())
}

/// Of two batches: the second shows how the first goes on.
async fn entries(transaction: &Transaction<'_>, from: i64, batch_max: usize) -> Result<Vec<Entry>, Error> {
    let limit = i64::try_from(batch_max.saturating_mul(2)).unwrap_or(i64::MAX);
    let rows = transaction.query_typed(UNPLANNED, &[(&from, Type::INT8), (&limit, Type::INT8)]).await?;
    let entry = |row: &Row| Entry {
        id: row.get(0),
        tenant_id: row.get::<_, Option<Uuid>>(1).map(TenantId),
        aggregate: row.get(2),
        aggregate_id: row.get(3),
        operation: Operation::parse(row.get(4)),
        payload: row.get(5),
        created_at: row.get::<_, PgTime>(6).0,
    };
    Ok(rows.iter().map(entry).collect())
}

async fn known(
    transaction: &Transaction<'_>,
    entries: &[Entry],
) -> Result<HashMap<(TenantId, BookingId), KnownBooking>, Error> {
    let asked = entries.iter().filter_map(|entry| Some((entry.tenant_id?.0, entry.booking()?.ok()?.id.0)));
    let (tenants, bookings): (Vec<Uuid>, Vec<Uuid>) = asked.unzip();
    let rows = transaction.query_typed(KNOWN, &[(&tenants, Type::UUID_ARRAY), (&bookings, Type::UUID_ARRAY)]).await?;
    Ok(rows.iter().filter_map(known_booking).collect())
}

fn known_booking(row: &Row) -> Option<((TenantId, BookingId), KnownBooking)> {
    let status: &str = row.get(2);
    let status = BookingStatus::ALL.into_iter().find(|known| known.as_str() == status)?;
    let slot = Slot::new(row.get::<_, PgTime>(3).0, row.get::<_, PgTime>(4).0)?;
    let key = (TenantId(row.get(0)), BookingId(row.get(1)));
    Some((key, KnownBooking { status, slot, version: row.get(5), sequence: row.get(6) }))
}

async fn endpoints(
    transaction: &Transaction<'_>,
    entries: &[Entry],
) -> Result<HashMap<TenantId, Vec<Endpoint>>, Error> {
    let mut tenants: Vec<Uuid> = entries.iter().filter_map(|entry| Some(entry.tenant_id?.0)).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let rows = transaction.query_typed(ENDPOINTS, &[(&tenants, Type::UUID_ARRAY)]).await?;
    let mut endpoints: HashMap<TenantId, Vec<Endpoint>> = HashMap::new();
    for row in &rows {
        let endpoint = Endpoint { id: row.get(1), event_types: row.get(2) };
        endpoints.entry(TenantId(row.get(0))).or_default().push(endpoint);
    }
    Ok(endpoints)
}

async fn write(transaction: &Transaction<'_>, plan: &Plan) -> Result<(), Error> {
    if !plan.deliveries.is_empty() {
        add_deliveries(transaction, &plan.deliveries).await?;
    }
    if !plan.known.is_empty() {
        put_known(transaction, plan).await?;
    }
    if !plan.finished.is_empty() {
        let (tenants, entries): (Vec<Option<Uuid>>, Vec<i64>) =
            plan.finished.iter().map(|(tenant_id, entry_id)| (tenant_id.map(|id| id.0), *entry_id)).unzip();
        transaction.execute_typed(NOTE_FINISHED, &[(&tenants, Type::UUID_ARRAY), (&entries, Type::INT8_ARRAY)]).await?;
    }
    Ok(())
}

async fn add_deliveries(transaction: &Transaction<'_>, deliveries: &[NewDelivery]) -> Result<(), Error> {
    fn column<T>(deliveries: &[NewDelivery], value: impl Fn(&NewDelivery) -> T) -> Vec<T> {
        deliveries.iter().map(value).collect()
    }
    let message = |new: &NewDelivery| serde_json::to_string(&new.message).expect("ids and times are JSON");
    let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
        (&column(deliveries, |new| new.tenant_id.0), Type::UUID_ARRAY),
        (&column(deliveries, |new| new.id), Type::UUID_ARRAY),
        (&column(deliveries, |new| new.entry_id), Type::INT8_ARRAY),
        (&column(deliveries, |new| new.message.booking_id.0), Type::UUID_ARRAY),
        (&column(deliveries, |new| new.handler.as_str()), Type::TEXT_ARRAY),
        (&column(deliveries, |new| new.target_id), Type::UUID_ARRAY),
        (&column(deliveries, |new| new.message.change.as_str()), Type::TEXT_ARRAY),
        (&column(deliveries, message), Type::TEXT_ARRAY),
    ];
    transaction.execute_typed(ADD_DELIVERIES, &parameters).await.map(drop)
}

async fn put_known(transaction: &Transaction<'_>, plan: &Plan) -> Result<(), Error> {
    let column = |value: fn(&KnownBooking) -> PgTime| plan.known.values().map(value).collect::<Vec<PgTime>>();
    let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
        (&plan.known.keys().map(|(tenant_id, _)| tenant_id.0).collect::<Vec<_>>(), Type::UUID_ARRAY),
        (&plan.known.keys().map(|(_, booking_id)| booking_id.0).collect::<Vec<_>>(), Type::UUID_ARRAY),
        (&plan.known.values().map(|known| known.status.as_str()).collect::<Vec<_>>(), Type::TEXT_ARRAY),
        (&column(|known| PgTime(known.slot.start)), Type::TIMESTAMPTZ_ARRAY),
        (&column(|known| PgTime(known.slot.end)), Type::TIMESTAMPTZ_ARRAY),
        (&plan.known.values().map(|known| known.version).collect::<Vec<_>>(), Type::INT4_ARRAY),
        (&plan.known.values().map(|known| known.sequence).collect::<Vec<_>>(), Type::INT4_ARRAY),
    ];
    transaction.execute_typed(PUT_KNOWN, &parameters).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_not_passed_over_again_with_each_batch() {
        let mut scan = Scan::default();
        assert_eq!(scan.from(), None, "the first look is at all");
        scan.saw(None, Some(50_000));
        assert_eq!(scan.from(), Some(50_000 - LATE_ENTRIES));
        scan.saw(Some(40_000), Some(50_500));
        assert_eq!(scan.from(), Some(50_500 - LATE_ENTRIES));
        // One that came late.
        scan.saw(Some(40_500), Some(45_000));
        assert_eq!(scan.from(), Some(50_500 - LATE_ENTRIES));
    }
}
