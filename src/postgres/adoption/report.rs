//! What an operator has to know of the rows of an adopted database: where its schema let through what the server would not,
//! and where personal data lies in plain text. Counts and ids, never contents.

use serde::Serialize;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

use super::expected::{TABLES, TRIGGERED};
use super::steps::patiently;

/// As many are named; the rest is counted.
const EXAMPLES: i64 = 10;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdoptionReport {
    /// Gaps between the first and the last partition, and months up to three ahead, as `2024-06`.
    pub missing_months: Vec<String>,
    pub disabled_triggers: Vec<String>,
    /// `None` where row security hides the rows from the login, and nothing may be changed to see them.
    pub rows: Option<RowReport>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowReport {
    /// Of appointments: ids that several months have.
    pub duplicate_ids: Found,
    /// Active appointments of a person that begin before an earlier one has ended, which the months' own constraints can't see.
    pub overlaps: Found,
    pub personal_data: Vec<Counted>,
    /// Rows that were there before auditing, by table.
    pub without_insert_entry: Vec<Counted>,
    pub entries_without_tenant: i64,
    pub entries_without_actor: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    pub count: i64,
    pub examples: Vec<Example>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    pub tenant_id: Uuid,
    pub id: Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub place: String,
    pub count: i64,
}

const READ: [&str; 6] =
    ["appointments", "resource_allocations", "products", "product_stock_movements", "audit_log", "outbox_events"];

/// Of the catalogue alone, unless the login sees all rows as it is.
pub(super) async fn without_changes(client: &Client) -> Result<AdoptionReport, Error> {
    let rows = if sees_all_rows(client).await? { Some(rows(client).await?) } else { None };
    Ok(AdoptionReport { rows, ..catalogued(client).await? })
}

async fn catalogued(client: &Client) -> Result<AdoptionReport, Error> {
    Ok(AdoptionReport {
        missing_months: missing_months(client).await?,
        disabled_triggers: disabled_triggers(client).await?,
        rows: None,
    })
}

/// Lets the login see all rows for as long as it takes, where row security would hide them. Also what a run that was
/// interrupted has left open is closed.
pub(super) async fn in_full(client: &mut Client) -> Result<AdoptionReport, Error> {
    // Platforms end statements that take long; this reads all that there is.
    client.batch_execute("set statement_timeout = 0").await?;
    let rows = if sees_all_rows(client).await? {
        let rows = rows(client).await;
        set_sight(client, &READ, false).await?;
        rows
    } else {
        in_sight(client, &READ, rows).await
    };
    let report = AdoptionReport { rows: Some(rows?), ..catalogued(client).await? };
    client.batch_execute("reset statement_timeout").await?;
    Ok(report)
}

/// What the login would find in the tables if no row were hidden from it.
pub(super) async fn in_sight<T>(
    client: &mut Client,
    tables: &[&str],
    ask: impl AsyncFnOnce(&Client) -> Result<T, Error>,
) -> Result<T, Error> {
    set_sight(client, tables, true).await?;
    let found = ask(client).await;
    set_sight(client, tables, false).await?;
    found
}

/// Whether an operator has been told, once and for all.
pub(super) async fn is_given(client: &Client) -> Result<bool, Error> {
    let sql = "select exists (select from app_private.schema_migrations where number = 1 and reported_at is not null)";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

pub(super) async fn note_given(client: &Client) -> Result<(), Error> {
    client.batch_execute("update app_private.schema_migrations set reported_at = now() where number = 1").await
}

pub(super) async fn sees_all_rows(client: &Client) -> Result<bool, Error> {
    let sql = "select rolsuper or rolbypassrls from pg_roles where rolname = current_user";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// Each table by itself, so that nobody waits for more than one.
async fn set_sight(client: &mut Client, tables: &[&str], is_open: bool) -> Result<(), Error> {
    for table in tables {
        let sql = "select exists (select from pg_policy where polname = 'codeccloud_adoption'
            and polrelid = ('public.' || $1)::regclass)";
        if is_open == client.query_one(sql, &[table]).await?.get::<_, bool>(0) {
            continue;
        }
        let change = if is_open {
            format!("create policy codeccloud_adoption on public.{table} for select to current_user using (true)")
        } else {
            format!("drop policy codeccloud_adoption on public.{table}")
        };
        patiently(client, &change).await?;
    }
    Ok(())
}

pub(super) async fn missing_months(client: &Client) -> Result<Vec<String>, Error> {
    let sql = "with months as (
            select to_date(right(c.relname, 6), 'YYYYMM') as month
            from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'public.appointments'::regclass and c.relname ~ '^appointments_\\d{6}$'
        ),
        wanted as (
            select generate_series(
                (select min(month) from months),
                greatest((select max(month) from months), date_trunc('month', now() at time zone 'UTC') + interval '3 months'),
                '1 month'
            )::date as month
        )
        select to_char(month, 'YYYY-MM') from wanted where month not in (select month from months) order by 1";
    Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

async fn disabled_triggers(client: &Client) -> Result<Vec<String>, Error> {
    let sql = "select format('%s on %s', t.tgname, t.tgrelid::regclass) from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = 'public'::regnamespace and not t.tgisinternal and t.tgenabled in ('D', 'R') and (
            c.relname = any($1::text[])
            or c.oid in (select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass)
        ) order by 1";
    let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    Ok(client.query(sql, &[&tables]).await?.iter().map(|row| row.get(0)).collect())
}

async fn rows(client: &Client) -> Result<RowReport, Error> {
    let duplicates = "select tenant_id, id from appointments group by tenant_id, id having count(*) > 1";
    let overlaps = "select tenant_id, id from (
            select tenant_id, id, slot_start < max(slot_end) over (
                partition by tenant_id, staff_id order by slot_start, slot_end
                rows between unbounded preceding and 1 preceding
            ) as is_too_early
            from appointments where status in ('scheduled', 'confirmed', 'checked_in')
        ) active where is_too_early";
    let entries =
        "select count(*) filter (where tenant_id is null), count(*) filter (where actor_id is null) from audit_log";
    let entries = client.query_one(entries, &[]).await?;
    Ok(RowReport {
        duplicate_ids: found(client, duplicates).await?,
        overlaps: found(client, overlaps).await?,
        personal_data: personal_data(client).await?,
        without_insert_entry: without_insert_entry(client).await?,
        entries_without_tenant: entries.get(0),
        entries_without_actor: entries.get(1),
    })
}

/// How many rows the query has, and some of them.
async fn found(client: &Client, query: &str) -> Result<Found, Error> {
    let sql = format!("select tenant_id, id, count(*) over () from ({query}) found order by tenant_id, id limit $1");
    let rows = client.query(&sql, &[&EXAMPLES]).await?;
    Ok(Found {
        count: rows.first().map_or(0, |row| row.get(2)),
        examples: rows.iter().map(|row| Example { tenant_id: row.get(0), id: row.get(1) }).collect(),
    })
}

/// Notes are the one place where the MVP keeps what people wrote; each change of a row copies them.
async fn personal_data(client: &Client) -> Result<Vec<Counted>, Error> {
    let sql = "select 'appointments.notes', count(*) from appointments where notes <> ''
        union all select 'audit_log.before', count(*) from audit_log where before ->> 'notes' <> ''
        union all select 'audit_log.after', count(*) from audit_log where after ->> 'notes' <> ''
        union all select 'outbox_events.payload', count(*) from outbox_events where payload -> 'row' ->> 'notes' <> ''";
    counted(client, sql).await
}

async fn without_insert_entry(client: &Client) -> Result<Vec<Counted>, Error> {
    let each = TRIGGERED.map(|table| {
        format!(
            "select '{table}', count(*) from {table} r where not exists (
                select from audit_log a where a.entity_id = r.id::text and a.event_type = 'insert'
                    and (a.entity = '{table}' or a.entity ~ '^{table}_\\d{{6}}$')
            )"
        )
    });
    counted(client, &each.join(" union all ")).await
}

async fn counted(client: &Client, sql: &str) -> Result<Vec<Counted>, Error> {
    let rows = client.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| Counted { place: row.get(0), count: row.get(1) }).collect())
}
