//! The functions that policies ask, the type of a status, and the sequences that number entries.

use tokio_postgres::{Client, Error};

use super::Difference;
use crate::postgres::adoption::expected::{FUNCTIONS, STATUSES};

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::new();
    for (function, result) in FUNCTIONS {
        let sql = "select prorettype::regtype::text = $2, prosecdef from pg_proc where oid = to_regprocedure($1)";
        match client.query_opt(sql, &[&function, &result]).await? {
            None => differences.push(Difference::refuses(function, "the function is missing")),
            Some(row) if !row.get::<_, bool>(0) => {
                differences.push(Difference::refuses(function, format!("it does not return {result}")));
            }
            Some(row) if function.contains("is_tenant_member") && !row.get::<_, bool>(1) => {
                let text = format!(
                    "it runs with its caller's rights, and functions of the server ask it with theirs: \
                     alter function {function} security definer"
                );
                differences.push(Difference::refuses(function, text));
            }
            Some(_) => {}
        }
    }
    let labels = "select string_agg(enumlabel, ', ' order by enumsortorder) from pg_enum
        where enumtypid = to_regtype('public.appointment_status')";
    let labels: Option<String> = client.query_one(labels, &[]).await?.get(0);
    let labels = labels.unwrap_or_default();
    if labels != STATUSES {
        differences.push(Difference::refuses("appointment_status", format!("its values are {labels}, not {STATUSES}")));
    }
    let is_there = "select exists (select from pg_extension where extname = 'btree_gist')";
    if !client.query_one(is_there, &[]).await?.get::<_, bool>(0) {
        differences.push(Difference::refuses("btree_gist", "the extension is missing"));
    }
    for table in ["audit_log", "outbox_events"] {
        let sql = "select pg_get_serial_sequence('public.' || $1, 'id') is not null";
        if !client.query_one(sql, &[&table]).await?.get::<_, bool>(0) {
            let text = format!("it has no sequence of its own: alter sequence … owned by public.{table}.id");
            differences.push(Difference::refuses(format!("{table}.id"), text));
        }
    }
    // The outbox takes numbers for the order in which transactions began, more or less.
    let cached = "select seqrelid::regclass::text from pg_sequence where seqcache > 1
        and seqrelid = pg_get_serial_sequence('public.outbox_events', 'id')::regclass";
    if let Some(row) = client.query_opt(cached, &[]).await? {
        let text = format!("its numbers are handed out in advance: alter sequence {} cache 1", row.get::<_, &str>(0));
        differences.push(Difference::refuses("outbox_events.id", text));
    }
    Ok(differences)
}
