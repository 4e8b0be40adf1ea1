//! What a login without CREATEROLE can't do for itself: an administrator runs a script before it.

use tokio_postgres::{Client, Error};

use super::differences::Difference;

/// Those that the server acts as, and that migrations make where they are missing.
const ROLES: [&str; 13] = [
    "authenticated",
    "codeccloud_membership",
    "codeccloud_audit",
    "codeccloud_store",
    "codeccloud_journal",
    "codeccloud_reader",
    "codeccloud_operator",
    "codeccloud_vault",
    "codeccloud_projector",
    "codeccloud_service",
    "codeccloud_customer",
    "codeccloud_outbox",
    "codeccloud_sealer",
];

/// Refuses where the script has to run first.
pub(super) async fn needed(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select current_user::text, rolcreaterole or rolsuper from pg_roles where rolname = current_user";
    let row = client.query_one(sql, &[]).await?;
    let (login, makes_roles): (String, bool) = (row.get(0), row.get(1));
    if makes_roles || missing(client).await?.is_empty() {
        return Ok(Vec::new());
    }
    let text = "the login may make no roles: an administrator runs the first part of what --dry-run prints";
    Ok(vec![Difference::refuses(login, text)])
}

/// Idempotent, and empty when there is nothing left to do.
pub(super) async fn script(client: &Client) -> Result<Vec<String>, Error> {
    let login: String = client.query_one("select quote_ident(current_user)", &[]).await?.get(0);
    let mut statements = Vec::new();
    for (role, exists) in missing(client).await? {
        if !exists {
            statements.push(format!("create role {role} nologin"));
        }
        statements.push(format!("grant {role} to {login}"));
    }
    Ok(statements)
}

/// Roles that the login is no member of, and whether they exist.
async fn missing(client: &Client) -> Result<Vec<(String, bool)>, Error> {
    let sql = "select wanted, r.oid is not null from unnest($1::text[]) with ordinality as w (wanted, number)
        left join pg_roles r on r.rolname = wanted
        where r.oid is null or not pg_has_role(r.oid, 'member') order by number";
    Ok(client.query(sql, &[&&ROLES[..]]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}
