//! Row triggers, known by what their functions write, not by their names.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use super::Difference;
use crate::postgres::adoption::expected::TRIGGERED;

const EFFECTS: [&str; 3] = ["audit_log", "outbox_events", "data_version"];
const INSERT: i16 = 1 << 2;
const DELETE: i16 = 1 << 3;
const UPDATE: i16 = 1 << 4;

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
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
