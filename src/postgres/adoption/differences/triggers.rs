//! Triggers, known by what their functions write, not by their names.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use super::Difference;
use crate::postgres::adoption::expected::TRIGGERED;

/// Where a trigger stands, its name and its function, of those tables and of single months.
const TRIGGERS: &str = "select t.tgrelid::regclass::text, t.tgname::text, p.oid::regprocedure::text, p.prosrc
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_class c on c.oid = t.tgrelid
    where not t.tgisinternal and t.tgparentid = 0 and c.relnamespace = 'public'::regnamespace
        and (c.relname = any($1::text[]) or c.oid in (
            select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass
        ))";
const RECORDS: &str = "\\m(audit_log|outbox_events|data_version)\\M";
const EFFECTS: [&str; 3] = ["audit_log", "outbox_events", "data_version"];
const INSERT: i16 = 1 << 2;
const DELETE: i16 = 1 << 3;
const UPDATE: i16 = 1 << 4;

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let mut differences = recording(client).await?;
    differences.extend(not_to_be_left_alone(client).await?);
    differences.extend(stock(client).await?);
    differences.extend(with_callers_rights(client).await?);
    differences.extend(doing_several_things(client).await?);
    differences.extend(recording_by_others(client).await?);
    differences.extend(after_ours(client).await?);
    Ok(differences)
}

/// In scale mode they must leave the journal's store alone, for which they get a condition.
async fn not_to_be_left_alone(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select t.tgrelid::regclass::text, t.tgname::text, t.tgconstraint <> 0
        from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_class c on c.oid = t.tgrelid
        where not t.tgisinternal and t.tgparentid = 0 and c.relnamespace = 'public'::regnamespace
            and (c.relname = any($1::text[]) or c.oid in (
                select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass
            ))
            and p.prosrc ~ '\\m(audit_log|outbox_events|data_version)\\M' and (t.tgconstraint <> 0 or t.tgtype & 66 <> 0)
        order by 1, 2";
    let difference = |row: &tokio_postgres::Row| {
        let (name, is_constraint): (&str, bool) = (row.get(1), row.get(2));
        let kind = if is_constraint { "is a constraint trigger" } else { "fires before the change" };
        let text = format!("the trigger {name} records changes and {kind}: make it a trigger after the change");
        Difference::refuses(row.get::<_, String>(0), text)
    };
    Ok(client.query(sql, &[&&TRIGGERED[..]]).await?.iter().map(difference).collect())
}

/// Without it, what is on hand stays what it is, whatever moves.
async fn stock(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select exists (
        select from pg_trigger t join pg_proc p on p.oid = t.tgfoid
        where t.tgrelid = 'public.product_stock_movements'::regclass and t.tgenabled in ('O', 'A')
            and t.tgtype & 4 = 4 and p.prosrc ~ '\\mproduct_stock\\M'
    )";
    if client.query_one(sql, &[]).await?.get(0) {
        return Ok(Vec::new());
    }
    let text = "no trigger keeps product_stock the sum of what is inserted there, or it is disabled";
    Ok(vec![Difference::refuses("product_stock_movements", text)])
}

/// Commands act in roles of the server's, and none of those may write there. What is disabled is noted elsewhere.
async fn with_callers_rights(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = format!(
        "{TRIGGERS} and t.tgtype & 66 = 0 and t.tgenabled <> 'D' and not p.prosecdef and (p.prosrc ~ '{RECORDS}'
            or t.tgrelid = 'public.product_stock_movements'::regclass and p.prosrc ~ '\\mproduct_stock\\M') order by 1, 2"
    );
    let difference = |row: &tokio_postgres::Row| {
        let (name, function): (&str, &str) = (row.get(1), row.get(2));
        let text = format!(
            "the trigger {name} writes with the rights of whoever changes a row, and the server's roles have none there: \
             alter function {function} security definer"
        );
        Difference::refuses(row.get::<_, String>(0), text)
    };
    Ok(client.query(&sql, &[&&TRIGGERED[..]]).await?.iter().map(difference).collect())
}

/// In scale mode the one is left to the store, and the other one is not.
async fn doing_several_things(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = format!(
        "{TRIGGERS} and t.tgrelid = 'public.product_stock_movements'::regclass and p.prosrc ~ '{RECORDS}'
            and p.prosrc ~ '\\mproduct_stock\\M' order by 1, 2"
    );
    let difference = |row: &tokio_postgres::Row| {
        let text = format!("the trigger {} both sums the stock and records: make two of it", row.get::<_, &str>(1));
        Difference::refuses(row.get::<_, String>(0), text)
    };
    Ok(client.query(&sql, &[&&TRIGGERED[..]]).await?.iter().map(difference).collect())
}

/// By functions that the trigger's own calls: it would not be found, and in scale mode each row recorded twice.
async fn recording_by_others(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = format!(
        "with recursive functions as (
            select p.oid, p.proname::text as name, p.prosrc from pg_proc p
            where p.prorettype <> 'trigger'::regtype and p.proname ~ '^\\w+$' and p.pronamespace <> all(array[
                'pg_catalog', 'information_schema']::regnamespace[])
        ), recorders as (
            select * from functions where prosrc ~ '{RECORDS}'
            union
            select f.* from functions f join recorders r on f.prosrc ~ ('\\m' || r.name || '\\M')
        )
        select found.*, (select min(name) from recorders r where found.source ~ ('\\m' || r.name || '\\M'))
        from ({TRIGGERS} and p.prosrc !~ '{RECORDS}') found (relation, name, function, source)
        where exists (select from recorders r where found.source ~ ('\\m' || r.name || '\\M')) order by 1, 2"
    );
    let difference = |row: &tokio_postgres::Row| {
        let (name, function, other): (&str, &str, &str) = (row.get(1), row.get(2), row.get(4));
        let text = format!("the trigger {name} records by calling {other}: let {function} write the entries itself");
        Difference::refuses(row.get::<_, String>(0), text)
    };
    Ok(client.query(&sql, &[&&TRIGGERED[..]]).await?.iter().map(difference).collect())
}

/// Ours looks at bounds of slots that must not be changed behind it; triggers fire in the order of their names.
async fn after_ours(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select t.tgrelid::regclass::text, t.tgname::text from pg_trigger t
        where not t.tgisinternal and t.tgparentid = 0 and t.tgtype & 3 = 3 and t.tgname > 'zzz_refuse_month_overlap'
            and (t.tgrelid = 'public.appointments'::regclass or t.tgrelid in (
                select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass
            )) order by 1, 2";
    let difference = |row: &tokio_postgres::Row| {
        let text = format!("the trigger {} fires after all of the server's own: rename it", row.get::<_, &str>(1));
        Difference::refuses(row.get::<_, String>(0), text)
    };
    Ok(client.query(sql, &[]).await?.iter().map(difference).collect())
}

async fn recording(client: &Client) -> Result<Vec<Difference>, Error> {
    // Row triggers of a partitioned table fire on its partitions.
    let sql = "with tables as (
            select c.oid, c.relname from pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relname = any($1::text[]) and c.relkind = 'r'
            union all
            select c.oid, c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'public.appointments'::regclass
        )
        select tables.relname::text, t.tgname::text, t.tgenabled in ('O', 'A'), t.tgtype, p.prosrc
        from tables left join (pg_trigger t join pg_proc p on p.oid = t.tgfoid) on t.tgrelid = tables.oid
            and not t.tgisinternal
        order by 1, 2";
    let mut events: BTreeMap<(String, &str), i16> = BTreeMap::new();
    let mut differences = Vec::new();
    for row in client.query(sql, &[&&TRIGGERED[..]]).await? {
        let table: String = row.get(0);
        for effect in EFFECTS {
            events.entry((table.clone(), effect)).or_default();
        }
        let Some(name) = row.get::<_, Option<String>>(1) else { continue };
        let (is_enabled, kind, source): (bool, i16, &str) = (row.get(2), row.get(3), row.get(4));
        if !is_enabled {
            differences.push(Difference::noted(&table, format!("the trigger {name} is disabled")));
            continue;
        }
        for effect in EFFECTS.into_iter().filter(|effect| source.contains(effect)) {
            *events.entry((table.clone(), effect)).or_default() |= kind;
        }
    }
    for ((table, effect), kind) in events {
        let missing: Vec<&str> = [(INSERT, "insert"), (UPDATE, "update"), (DELETE, "delete")]
            .into_iter()
            .filter_map(|(bit, event)| (kind & bit == 0).then_some(event))
            .collect();
        if !missing.is_empty() {
            let text = format!("no row trigger writes {effect} on {}", missing.join(", "));
            differences.push(Difference::noted(table, text));
        }
    }
    Ok(differences)
}
