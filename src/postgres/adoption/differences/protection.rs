//! Row security, policies, and whose the tables are.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use super::{Difference, table_names};
use crate::postgres::adoption::expected::{Access, ExpectedTable, TABLES};

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let mut differences = row_security(client).await?;
    let policies = policies(client).await?;
    for table in &TABLES {
        differences.extend(members(table, policies.get(table.name).map_or(&[][..], Vec::as_slice)));
    }
    Ok(differences)
}

async fn row_security(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select c.relname::text, c.relrowsecurity, c.relforcerowsecurity, pg_has_role(c.relowner, 'usage'),
            c.relowner::regrole::text
        from pg_class c
        where c.relnamespace = 'public'::regnamespace and (c.relname = any($1::text[]) or c.oid in (
            select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass
        )) and c.relkind in ('r', 'p') order by 1";
    let mut differences = Vec::new();
    for row in client.query(sql, &[&table_names()]).await? {
        let table: String = row.get(0);
        let (is_enabled, is_forced, is_ours): (bool, bool, bool) = (row.get(1), row.get(2), row.get(3));
        if !is_enabled {
            let text = format!("row security is off: alter table public.{table} enable row level security");
            differences.push(Difference::refuses(&table, text));
        } else if !is_forced {
            differences.push(Difference::noted(&table, "row security does not hold for the owner: it is not forced"));
        }
        if !is_ours {
            let owner: &str = row.get(4);
            differences.push(Difference::refuses(&table, format!("it belongs to {owner}: adopt as that login")));
        }
    }
    Ok(differences)
}

struct Policy {
    name: String,
    command: String,
    is_permissive: bool,
    expressions: String,
}

/// Those that hold for members, by table.
async fn policies(client: &Client) -> Result<BTreeMap<String, Vec<Policy>>, Error> {
    let sql =
        "select tablename::text, policyname::text, cmd, permissive = 'PERMISSIVE', concat_ws(' ', qual, with_check)
        from pg_policies
        where schemaname = 'public' and tablename = any($1::text[]) and roles && '{authenticated,public}'";
    let mut tables: BTreeMap<String, Vec<Policy>> = BTreeMap::new();
    for row in client.query(sql, &[&table_names()]).await? {
        let policy =
            Policy { name: row.get(1), command: row.get(2), is_permissive: row.get(3), expressions: row.get(4) };
        tables.entry(row.get(0)).or_default().push(policy);
    }
    Ok(tables)
}

fn members(table: &ExpectedTable, policies: &[Policy]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let allows = |command: &str| {
        policies.iter().any(|policy| policy.is_permissive && (policy.command == "ALL" || policy.command == command))
    };
    // A ledger: members add to it, and its trigger refuses the rest.
    let needed: &[&str] = match table.members {
        Access::Read => &["SELECT"],
        Access::Change if table.name == "product_stock_movements" => &["SELECT", "INSERT"],
        Access::Change => &["SELECT", "INSERT", "UPDATE", "DELETE"],
    };
    for command in needed.iter().filter(|command| !allows(command)) {
        differences.push(Difference::refuses(table.name, format!("no policy lets members {command}")));
    }
    if matches!(table.name, "audit_log" | "outbox_events") {
        let writing = ["INSERT", "UPDATE", "DELETE"].into_iter().filter(|command| allows(command));
        differences
            .extend(writing.map(|command| Difference::noted(table.name, format!("members may {command} there"))));
    }
    for policy in policies {
        if !policy.is_permissive {
            let text = format!("the restrictive policy {:?} narrows what members reach", policy.name);
            differences.push(Difference::noted(table.name, text));
        } else if !bounds_tenants(&policy.expressions) {
            let text = format!("the policy {:?} does not ask who is a member: {}", policy.name, policy.expressions);
            differences.push(Difference::noted(table.name, text));
        }
    }
    differences
}

fn bounds_tenants(expressions: &str) -> bool {
    ["current_tenant_id()", "is_tenant_member(", "uid()"].iter().any(|question| expressions.contains(question))
}
