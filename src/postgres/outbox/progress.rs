//! Where the worker begins, and the entries that it marks as processed.

use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::postgres::pooled::PooledClient;

/// The sequence is asked, since the table may be large; what it has given out and is not committed yet is from before too.
const BEGIN: &str = "
    UPDATE app_private.outbox_start SET
        entry_id = coalesce(
            entry_id, pg_sequence_last_value(pg_get_serial_sequence('public.outbox_events', 'id')::regclass), 0
        ),
        started_at = CASE WHEN entry_id IS NULL THEN now() ELSE started_at END,
        sends_mail = sends_mail OR $1
    WHERE entry_id IS NULL OR ($1 AND NOT sends_mail)";

/// Of bookings that were followed once, where nobody has listened of late: otherwise their next change would tell of all
/// that has become of them meanwhile. What is still to be told must not be known before, as in `note_bookings`.
const REFRESH: &str = "
    UPDATE outbox_bookings b SET
        status = CASE a.status WHEN 'draft' THEN 'pending' ELSE a.status::text END,
        slot_start = a.slot_start, slot_end = a.slot_end, version = a.version, updated_at = now()
    FROM appointments a
    WHERE a.tenant_id = b.tenant_id AND a.id = b.booking_id
        AND NOT EXISTS (SELECT FROM webhook_endpoints e WHERE e.tenant_id = b.tenant_id AND e.is_active)
        AND b.booking_id NOT IN (
            SELECT e.aggregate_id FROM app_private.outbox_start s
            JOIN outbox_events e ON e.id > greatest(s.entry_id, s.planned_to)
            WHERE e.aggregate_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM app_private.outbox_planned p WHERE p.entry_id = e.id)
        )";

pub(super) async fn begin(client: &mut PooledClient, with_mail: bool) -> Result<(), Error> {
    let unfinished = client.unfinished();
    let beginning = async {
        let transaction = client.transaction().await?;
        let has_begun = transaction.execute_typed(BEGIN, &[(&with_mail, Type::BOOL)]).await? > 0;
        if has_begun && with_mail {
            transaction.execute_typed(REFRESH, &[]).await?;
        }
        transaction.commit().await
    };
    unfinished.watched(beginning).await
}

/// Looked at in one transaction.
const NOTED_MAX: i64 = 1_000;

/// Entries in a transaction of somebody else's are passed over, and stay noted.
const MARK: &str = "
    WITH noted AS (
        SELECT number, tenant_id, entry_id FROM app_private.outbox_finished
        WHERE number > $1 ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED
    ), closed AS (
        SELECT DISTINCT n.entry_id FROM noted n
        WHERE NOT EXISTS (
            SELECT FROM outbox_deliveries d
            WHERE d.tenant_id = n.tenant_id AND d.entry_id = n.entry_id AND d.state IN ('waiting', 'dead')
        )
    ), free AS (
        SELECT e.id FROM closed c JOIN outbox_events e ON e.id = c.entry_id WHERE e.processed_at IS NULL
        FOR NO KEY UPDATE OF e SKIP LOCKED
    ), marked AS (
        UPDATE outbox_events e SET processed_at = now() FROM free WHERE e.id = free.id RETURNING e.id
    ), held AS (
        SELECT c.entry_id FROM closed c JOIN outbox_events e ON e.id = c.entry_id
        WHERE e.processed_at IS NULL AND e.id NOT IN (SELECT id FROM marked)
    ), forgotten AS (
        DELETE FROM app_private.outbox_finished f USING noted n
        WHERE f.number = n.number AND n.entry_id NOT IN (SELECT entry_id FROM held)
    )
    SELECT (SELECT count(*) FROM noted), (SELECT max(number) FROM noted), (SELECT count(*) FROM marked)";

/// Where the table itself is locked, later will do.
const WAIT: &str = "SET LOCAL lock_timeout = '2s'";

pub(super) async fn mark(client: &mut PooledClient) -> Result<u64, Error> {
    let (mut after, mut marked) = (0_i64, 0_u64);
    loop {
        let unfinished = client.unfinished();
        let marking = async {
            let transaction = client.transaction().await?;
            transaction.batch_execute(WAIT).await?;
            let rows = transaction.query_typed(MARK, &[(&after, Type::INT8), (&NOTED_MAX, Type::INT8)]).await?;
            transaction.commit().await?;
            Ok::<_, Error>(rows)
        };
        let rows = unfinished.watched(marking).await?;
        let Some(row) = rows.first() else { return Ok(marked) };
        marked += u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
        match row.get(1) {
            Some(last) if row.get::<_, i64>(0) == NOTED_MAX => after = last,
            Some(_) | None => return Ok(marked),
        }
    }
}
