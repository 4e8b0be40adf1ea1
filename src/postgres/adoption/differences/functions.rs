//! The functions that policies ask, the type of a status, and what would be in the way of our own.

use tokio_postgres::{Client, Error};

use super::Difference;
use crate::postgres::adoption::expected::{FUNCTIONS, STATUSES};
use crate::postgres::adoption::statements::{split, without_comments};
use crate::postgres::adoption::steps::{Step, steps_of};
use crate::postgres::schema::MIGRATIONS;

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
                differences
                    .push(Difference::noted(function, "it runs with its caller's rights: the policies must let it"));
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
    Ok(differences)
}

/// Before adoption has begun; then they are ours.
pub(in crate::postgres::adoption) async fn names_taken(client: &Client) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::new();
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
