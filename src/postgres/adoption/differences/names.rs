//! What would be in the way of our own: things of the same name.

use tokio_postgres::{Client, Error};

use super::Difference;
use crate::postgres::adoption::concurrent::{is_alike, partitions};
use crate::postgres::adoption::statements::{IndexWanted, split, without_comments};
use crate::postgres::adoption::steps::{Step, steps_of};
use crate::postgres::migrations::MIGRATIONS;

/// What migrations add to tables of the MVP, as `kind name on table`; a test compares it with what they do.
pub(in crate::postgres::adoption) const ADDED: &[&str] = &[
    "column buffer_after_minutes on appointments",
    "column buffer_before_minutes on appointments",
    "column cluster_id on audit_log",
    "column event_id on outbox_events",
    "column fee_waived on appointments",
    "column moved_at on appointments",
    "column reason_recorded on appointments",
    "column transaction_id on audit_log",
    "column version on appointments",
    "column version on product_stock_movements",
    "policy audit on appointments",
    "policy audit on audit_log",
    "policy audit on outbox_events",
    "policy audit on product_stock",
    "policy audit on tenants",
    "policy declared on appointments",
    "policy declared on audit_log",
    "policy declared on outbox_events",
    "policy declared on product_stock_movements",
    "policy declared on resource_allocations",
    "policy declared on tenants",
    "policy invite on tenant_members",
    "policy invite_again on tenant_members",
    "policy membership on tenant_members",
    "policy operator on appointment_services",
    "policy operator on products",
    "policy operator on resources",
    "policy operator on staff_profiles",
    "policy operator on tenant_members",
    "policy operator on tenants",
    "policy outbox on appointment_services",
    "policy outbox on appointments",
    "policy outbox on staff_profiles",
    "policy outbox on tenants",
    "policy outbox_discards on audit_log",
    "policy outbox_processes on outbox_events",
    "policy outbox_reads on outbox_events",
    "policy own_rows on appointments",
    "policy own_rows on resource_allocations",
    "policy reader on appointment_services",
    "policy reader on appointments",
    "policy reader on product_stock_movements",
    "policy reader on products",
    "policy reader on resources",
    "policy reader on staff_profiles",
    "policy reader on tenant_members",
    "policy reader on tenants",
    "policy sealer on audit_log",
    "policy service on appointments",
    "policy service on product_stock",
    "policy service on product_stock_movements",
    "policy service on resource_allocations",
    "trigger count_appointment on appointments",
    "trigger note_reference_delete on appointment_services",
    "trigger note_reference_delete on products",
    "trigger note_reference_delete on staff_profiles",
    "trigger note_reference_delete on tenant_members",
    "trigger note_reference_insert on appointment_services",
    "trigger note_reference_insert on products",
    "trigger note_reference_insert on staff_profiles",
    "trigger note_reference_insert on tenant_members",
    "trigger note_reference_update on appointment_services",
    "trigger note_reference_update on products",
    "trigger note_reference_update on staff_profiles",
    "trigger note_reference_update on tenant_members",
    "trigger note_tenant_change on tenants",
    "trigger refuse_audit_change on audit_log",
    "trigger zzz_refuse_month_overlap on appointments",
];

/// Before adoption has begun; then they are ours.
pub(in crate::postgres::adoption) async fn names_taken(client: &Client) -> Result<Vec<Difference>, Error> {
    let mut differences = parts_taken(client).await?;
    for migration in MIGRATIONS {
        for step in steps_of(migration) {
            let Step::Transaction(sql) = step else { continue };
            for (kind, name) in split(&sql).into_iter().filter_map(|statement| made_by(without_comments(statement))) {
                if is_taken(client, kind, name).await? {
                    let text =
                        format!("{:04}_{} makes a {kind} of that name: rename yours", migration.number, migration.name);
                    differences.push(Difference::refuses(name, text));
                }
            }
        }
    }
    Ok(differences)
}

async fn is_taken(client: &Client, kind: &str, name: &str) -> Result<bool, Error> {
    let sql = if kind == "function" {
        "select exists (select from pg_proc where pronamespace::regnamespace || '.' || proname = $1)"
    } else {
        "select to_regclass($1) is not null"
    };
    Ok(client.query_one(sql, &[&name]).await?.get(0))
}

fn made_by(statement: &str) -> Option<(&str, &str)> {
    let rest = statement.strip_prefix("create ")?;
    let kind = ["table", "function", "sequence"].into_iter().find(|kind| rest.starts_with(&format!("{kind} ")))?;
    let name = rest[kind.len()..].trim_start().split(|letter: char| letter == '(' || letter.is_whitespace()).next()?;
    Some((kind, name))
}

async fn parts_taken(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select kind || ' ' || name || ' on ' || c.relname, c.relname::text, kind, name
        from (
            select polrelid, 'policy', polname::text from pg_policy
            union all select tgrelid, 'trigger', tgname::text from pg_trigger where not tgisinternal
            union all select attrelid, 'column', attname::text from pg_attribute where attnum > 0 and not attisdropped
        ) part (relation, kind, name)
        join pg_class c on c.oid = part.relation and c.relnamespace = 'public'::regnamespace
        where kind || ' ' || name || ' on ' || c.relname = any($1::text[]) order by 1";
    let difference = |row: &tokio_postgres::Row| {
        let (table, kind, name): (String, &str, &str) = (row.get(1), row.get(2), row.get(3));
        Difference::refuses(table, format!("the server makes a {kind} {name} there: rename yours"))
    };
    Ok(client.query(sql, &[&ADDED]).await?.iter().map(difference).collect())
}

/// An index of ours would be taken for built where another has its name.
pub(super) async fn indexes_taken(client: &Client) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::new();
    for migration in MIGRATIONS {
        for step in steps_of(migration) {
            let Step::Index(wanted) = step else { continue };
            let months = partitions(client, &wanted.table).await?;
            let of_months = months.iter().map(|month| (wanted.name_on(month), month));
            for (name, table) in std::iter::once((wanted.name.clone(), &wanted.table)).chain(of_months) {
                if is_another(client, &wanted, &name, table).await? {
                    let (number, of) = (migration.number, migration.name);
                    let text = format!("{number:04}_{of} makes an index of that name on {table}: rename yours");
                    differences.push(Difference::refuses(name, text));
                }
            }
        }
    }
    Ok(differences)
}

async fn is_another(client: &Client, wanted: &IndexWanted, name: &str, table: &str) -> Result<bool, Error> {
    let sql = "select i.indrelid = $2::text::regclass, pg_get_indexdef(i.indexrelid)
        from pg_class c left join pg_index i on i.indexrelid = c.oid
        where c.oid = to_regclass('public.' || quote_ident($1))";
    let Some(row) = client.query_opt(sql, &[&name, &table]).await? else { return Ok(false) };
    let (is_there, definition): (Option<bool>, Option<String>) = (row.get(0), row.get(1));
    Ok(is_there != Some(true) || !definition.is_some_and(|definition| is_alike(&definition, wanted)))
}
