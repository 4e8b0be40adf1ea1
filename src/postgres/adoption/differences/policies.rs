//! What policies let members do, and with whose rows.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Error};

use super::bounds::Bounds;
use super::{Difference, table_names};
use crate::postgres::adoption::expected::{Access, ExpectedTable, TABLES};

struct Policy {
    name: String,
    command: String,
    is_permissive: bool,
    /// Of the server's own roles too.
    is_for_everybody: bool,
    using: Option<String>,
    check: Option<String>,
}

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let policies = policies(client).await?;
    let asking = functions_that_ask(client).await?;
    let mut differences = Vec::new();
    for table in &TABLES {
        differences.extend(commands(table, policies.get(table.name).map_or(&[][..], Vec::as_slice)));
    }
    for (table, policies) in &policies {
        let column = if table == "tenants" { "id" } else { "tenant_id" };
        let bounds = Bounds { column, asking: &asking };
        differences.extend(policies.iter().flat_map(|policy| reach(table, policy, &bounds)));
    }
    differences.extend(not_to_be_granted(client).await?);
    Ok(differences)
}

/// Those that hold for members, by table; of months too, which may be asked by their own names.
async fn policies(client: &Client) -> Result<BTreeMap<String, Vec<Policy>>, Error> {
    let sql =
        "select tablename::text, policyname::text, cmd, permissive = 'PERMISSIVE', 'public' = any(roles), qual, with_check
        from pg_policies
        where schemaname = 'public' and roles && '{authenticated,public}' and (tablename = any($1::text[]) or tablename in (
            select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'public.appointments'::regclass
        ))";
    let mut tables: BTreeMap<String, Vec<Policy>> = BTreeMap::new();
    for row in client.query(sql, &[&table_names()]).await? {
        let policy = Policy {
            name: row.get(1),
            command: row.get(2),
            is_permissive: row.get(3),
            is_for_everybody: row.get(4),
            using: row.get(5),
            check: row.get(6),
        };
        tables.entry(row.get(0)).or_default().push(policy);
    }
    Ok(tables)
}

/// Functions of policies that ask who is a member, as the catalogue spells them.
async fn functions_that_ask(client: &Client) -> Result<BTreeSet<String>, Error> {
    let sql = "select distinct p.oid::regproc::text from pg_proc p
        join pg_depend d on d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
        where p.prokind = 'f' and p.prorettype = 'bool'::regtype and (
            pg_get_functiondef(p.oid) ~ '\\mtenant_members\\M'
            or p.oid = to_regprocedure('app_private.is_tenant_member(uuid)')
        )";
    Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

fn commands(table: &ExpectedTable, policies: &[Policy]) -> Vec<Difference> {
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
    differences
}

fn reach(table: &str, policy: &Policy, bounds: &Bounds) -> Vec<Difference> {
    let name = &policy.name;
    if !policy.is_permissive {
        let text = format!("the restrictive policy {name:?} narrows what members reach");
        return vec![if policy.is_for_everybody {
            Difference::refuses(table, format!("{text}, and the server's own roles: let it be for authenticated"))
        } else {
            Difference::noted(table, text)
        }];
    }
    let reads_only = policy.command == "SELECT";
    let is_open = |using: &&String| !(bounds.hold(using) || reads_only && bounds.are_of_own_user(using));
    let text = |clause: &str, expression: &String| {
        let text = format!("the policy {name:?} reaches beyond the tenant and its members: {clause} {expression}");
        Difference::refuses(table, text)
    };
    let using = policy.using.iter().filter(is_open).map(|using| text("using", using));
    let written = policy.check.iter().filter(|check| !bounds.hold(check)).map(|check| text("with check", check));
    using.chain(written).collect()
}

/// What a policy for everybody asks, our roles have to be able to execute.
async fn not_to_be_granted(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select distinct f.oid::regprocedure::text from pg_policy p
        join pg_class c on c.oid = p.polrelid and c.relnamespace = 'public'::regnamespace
        join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass
        join pg_proc f on f.oid = d.refobjid
        where 0 = any(p.polroles) and not has_function_privilege('public', f.oid, 'execute')
            and not pg_has_role(f.proowner, 'usage') and not has_function_privilege(f.oid, 'execute with grant option')";
    let text = "policies for everybody ask it, and this login may not let others execute it: \
                let the policies be for authenticated";
    Ok(client.query(sql, &[]).await?.iter().map(|row| Difference::refuses(row.get::<_, String>(0), text)).collect())
}
