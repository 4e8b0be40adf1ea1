//! Foreign keys and checks that the description does not have: what the server writes must not be refused by them, since it
//! knows none of them.

use tokio_postgres::{Client, Error};

use super::{Difference, table_names};
use crate::postgres::adoption::statements::plain;

/// Columns that name what is in a table of the MVP, whenever the server writes them.
const REFERENCES: [&str; 8] = [
    "tenant_id",
    "staff_id",
    "service_id",
    "resource_id",
    "product_id",
    "appointment_id",
    "appointment_slot_start",
    "user_id",
];
/// Where a command writes. What an operator or a member sets up is refused to somebody who can do something about it.
const WRITTEN_BY_COMMANDS: [&str; 6] =
    ["appointments", "resource_allocations", "product_stock", "product_stock_movements", "audit_log", "outbox_events"];
/// Of a list of values, those that the server writes.
const LISTS: [(&str, &[&str]); 2] =
    [("role", &["'owner'", "'manager'", "'staff'"]), ("event_type", &["'insert'", "'update'", "'delete'"])];
/// As [`plain`] has them, which drops parentheses, also those of `'[)'`.
const HARMLESS: [&str; 16] = [
    "checkcapacity>0",
    "checkcapacity>=0",
    "checkdata_version>0",
    "checkdata_version>=0",
    "checkduration_minutes>0",
    "checkprice_cents>=0",
    "checkquantity_on_hand>=0",
    "checkquantity_reserved>=0",
    "checkslot_start<slot_end",
    "checkslot_end>slot_start",
    "checkslot=tstzrangeslot_start,slot_end",
    "checkslot=tstzrangeslot_start,slot_end,'['::text",
    "checklowerslot=slot_start",
    "checkupperslot=slot_end",
    "checkslot_start=lowerslot",
    "checkslot_end=upperslot",
];

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let mut differences = foreign_keys(client).await?;
    differences.extend(references_to_appointments(client).await?);
    differences.extend(checks(client).await?);
    Ok(differences)
}

async fn foreign_keys(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select t.relname::text, c.conname::text, pg_get_constraintdef(c.oid),
            array(select a.attname::text from pg_attribute a where a.attrelid = c.conrelid and a.attnum = any(c.conkey)),
            r.relnamespace = 'public'::regnamespace and (r.relname = any($1::text[]) or r.oid in (
                select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass
            ))
        from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_class r on r.oid = c.confrelid
        where c.contype = 'f' and c.conparentid = 0 and t.relnamespace = 'public'::regnamespace
            and (t.relname = any($1::text[]) or t.oid in (
                select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass
            )) order by 1, 2";
    let mut differences = Vec::new();
    for row in client.query(sql, &[&table_names()]).await? {
        let (table, name, definition): (String, &str, &str) = (row.get(0), row.get(1), row.get(2));
        let (columns, is_of_mvp): (Vec<&str>, bool) = (row.get(3), row.get(4));
        if is_of_mvp && columns.iter().all(|column| REFERENCES.contains(column)) {
            continue;
        }
        // Of people: tokens name those that are there, an invitation may name somebody else.
        let text = format!("the foreign key {name} may refuse what the server writes: {definition}");
        differences.push(if columns == ["user_id"] {
            Difference::noted(table, text)
        } else {
            Difference::refuses(table, format!("{text}; drop it"))
        });
    }
    Ok(differences)
}

/// A booking that moves has another key.
async fn references_to_appointments(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select distinct c.conrelid::regclass::text, c.conname::text, pg_get_constraintdef(c.oid)
        from pg_constraint c
        where c.contype = 'f' and c.conparentid = 0 and c.confupdtype <> 'c'
            and c.conrelid <> 'public.resource_allocations'::regclass
            and (c.confrelid = 'public.appointments'::regclass or c.confrelid in (
                select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass
            )) order by 1, 2";
    let rows = client.query(sql, &[]).await?;
    let difference = |row: &tokio_postgres::Row| {
        let (name, definition): (&str, &str) = (row.get(1), row.get(2));
        let text = format!("the foreign key {name} lets no booking move: {definition}; add ON UPDATE CASCADE");
        Difference::refuses(row.get::<_, String>(0), text)
    };
    Ok(rows.iter().map(difference).collect())
}

async fn checks(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select t.relname::text, c.conname::text, pg_get_constraintdef(c.oid), t.relname <> all($1::text[])
        from pg_constraint c join pg_class t on t.oid = c.conrelid
        where c.contype = 'c' and c.conislocal and t.relnamespace = 'public'::regnamespace
            and (t.relname = any($1::text[]) or t.oid in (
                select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass
            )) order by 1, 2";
    let mut differences = Vec::new();
    for row in client.query(sql, &[&table_names()]).await? {
        let (table, name, definition): (String, &str, &str) = (row.get(0), row.get(1), row.get(2));
        if is_harmless(definition) {
            continue;
        }
        let text = format!("the check {name} may refuse what the server writes: {definition}");
        let is_month: bool = row.get(3);
        differences.push(if is_month || WRITTEN_BY_COMMANDS.contains(&table.as_str()) {
            Difference::refuses(table, format!("{text}; drop it"))
        } else {
            Difference::noted(table, text)
        });
    }
    Ok(differences)
}

fn is_harmless(definition: &str) -> bool {
    let text = plain(definition);
    let is_list = LISTS.iter().any(|(column, values)| {
        text.starts_with(&format!("check{column}=any")) && values.iter().all(|value| text.contains(value))
    });
    HARMLESS.contains(&text.as_str()) || is_list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_keeps_by_itself_is_harmless() {
        for harmless in [
            "CHECK ((capacity > 0))",
            "CHECK ((price_cents >= 0))",
            "CHECK ((slot = tstzrange(slot_start, slot_end, '[)'::text)))",
            "CHECK ((role = ANY (ARRAY['owner'::text, 'manager'::text, 'staff'::text])))",
        ] {
            assert!(is_harmless(harmless), "{harmless}");
        }
        for other in [
            "CHECK ((price_cents > 0))",
            "CHECK ((currency = 'CHF'::bpchar))",
            "CHECK ((role = ANY (ARRAY['owner'::text, 'staff'::text])))",
            "CHECK ((slot = tstzrange(slot_start, slot_end, '[]'::text)))",
        ] {
            assert!(!is_harmless(other), "{other}");
        }
    }
}
