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

/// Transactions commit out of the order of their entries' numbers: so far back is looked each time, and once a minute
/// everywhere. Entries of one booking do come in order, since each change of its row waits for the one before.
const LATE_ENTRIES: i64 = 10_000;
const FULL_SCAN_EVERY: Duration = Duration::from_secs(60);

/// Where to begin looking, so that entries which wait for their deliveries for days are not passed over every time.
#[derive(Default)]
pub(super) struct Scan {
    from: i64,
    full_at: Option<Instant>,
}

impl Scan {
    pub fn from(&mut self) -> i64 {
        if self.full_at.is_none_or(|at| at.elapsed() >= FULL_SCAN_EVERY) { 0 } else { self.from }
    }

    pub fn saw(&mut self, last: Option<i64>, all: bool) {
        if !all {
            return;
        }
        if self.full_at.is_none_or(|at| at.elapsed() >= FULL_SCAN_EVERY) {
            self.full_at = Some(Instant::now());
        }
        self.from = self.from.max(last.unwrap_or(0) - LATE_ENTRIES);
    }
}

/// A stopped process must not keep the lock, and a lock of somebody else's on an entry must not keep this one.
const BEGIN: &str = "SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL lock_timeout = '2s'";

const UNPLANNED: &str = "
    SELECT e.id, e.tenant_id, e.aggregate, e.event_type, e.payload, e.created_at FROM outbox_events e
    WHERE e.processed_at IS NULL AND e.id > greatest($1, (SELECT entry_id FROM app_private.outbox_start))
        AND NOT EXISTS (SELECT FROM outbox_deliveries d WHERE d.tenant_id = e.tenant_id AND d.entry_id = e.id)
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

const FINISH: &str = "UPDATE outbox_events SET processed_at = now() WHERE id = ANY ($1) AND processed_at IS NULL";

/// What was done, and the last entry that was read.
pub(super) async fn round(
    client: &mut PooledClient,
    from: i64,
    batch_max: usize,
    plan: &PlanEntries,
) -> Result<(Planned, Option<i64>), Error> {
    let unfinished = client.unfinished();
    let working = async {
        let transaction = client.transaction().await?;
        transaction.batch_execute(BEGIN).await?;
        let lock = transaction.query_typed("SELECT pg_try_advisory_xact_lock($1)", &[(&LOCK_KEY, Type::INT8)]).await?;
        if !lock.first().is_some_and(|row| row.get(0)) {
            return Ok((Planned::Elsewhere, None));
        }
        let mut unplanned =
            Unplanned { entries: entries(&transaction, from, batch_max).await?, ..Unplanned::default() };
        let read = unplanned.entries.len();
        if read == 0 {
            return Ok((Planned::Entries { read, deliveries: 0 }, None));
        }
        if read >= batch_max {
            unplanned.leave_out_cut_transaction();
        }
        unplanned.known = known(&transaction, &unplanned.entries).await?;
        unplanned.endpoints = endpoints(&transaction, &unplanned.entries).await?;
        let plan = plan(&unplanned);
        write(&transaction, &plan).await?;
        transaction.commit().await?;
        let last = unplanned.entries.last().map(|entry| entry.id);
        Ok((Planned::Entries { read, deliveries: plan.deliveries.len() }, last))
    };
    unfinished.watched(working).await
}

async fn entries(transaction: &Transaction<'_>, from: i64, batch_max: usize) -> Result<Vec<Entry>, Error> {
    let limit = i64::try_from(batch_max).unwrap_or(i64::MAX);
    let rows = transaction.query_typed(UNPLANNED, &[(&from, Type::INT8), (&limit, Type::INT8)]).await?;
    let entry = |row: &Row| Entry {
        id: row.get(0),
        tenant_id: row.get::<_, Option<Uuid>>(1).map(TenantId),
        aggregate: row.get(2),
        operation: Operation::parse(row.get(3)),
        payload: row.get(4),
        created_at: row.get::<_, PgTime>(5).0,
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
        transaction.execute_typed(FINISH, &[(&plan.finished, Type::INT8_ARRAY)]).await?;
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
