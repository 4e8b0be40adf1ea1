//! The index in the order of sealing. The sealer makes it, not a migration: a log that has long been in use must not be
//! locked for as long as that takes.

use tokio_postgres::{Client, Error};

use crate::postgres::PooledClient;

const NAME: &str = "audit_log_by_transaction";

/// Whether it is there. Returns `false` while another server makes it; waits where this one does.
///
/// However long it takes: hosted databases bound statements, and one that is cut short there is begun anew in vain. `owner`
/// is a connection for this alone, since the bounds are lifted on it; a pooler's session is not ours to change, so there they
/// hold.
pub async fn ensure(mut owner: PooledClient) -> Result<bool, Error> {
    for bound in ["statement_timeout", "lock_timeout"] {
        owner.set(&format!("{bound} = 0")).await?;
    }
    let owner = &owner;
    let sql = "SELECT indisvalid, EXISTS (SELECT FROM pg_stat_progress_create_index WHERE datname = current_database()) \
               FROM pg_index WHERE indexrelid = to_regclass($1)";
    let rows = owner.query_typed(sql, &[(&NAME, tokio_postgres::types::Type::TEXT)]).await?;
    match rows.first().map(|row| (row.get(0), row.get(1))) {
        Some((true, _)) => return Ok(true),
        Some((false, true)) => return Ok(false),
        // One that was broken off.
        Some((false, false)) => alone(owner, &format!("DROP INDEX CONCURRENTLY {NAME}")).await?,
        None => {}
    }
    let sql = format!(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS {NAME} ON audit_log (cluster_id, transaction_id, id) \
         WHERE cluster_id IS NOT NULL"
    );
    alone(owner, &sql).await?;
    Ok(true)
}

/// Not in a transaction, which the pooled client would make of it where there is a pooler. The owner needs no role.
async fn alone(owner: &PooledClient, sql: &str) -> Result<(), Error> {
    let client: &Client = owner;
    client.batch_execute(sql).await
}
