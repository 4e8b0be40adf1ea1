//! The index in the order of sealing. The sealer makes it, not a migration: a log that has long been in use must not be
//! locked for as long as that takes.

use tokio_postgres::Error;

use crate::postgres::PooledClient;

const NAME: &str = "audit_log_by_transaction";

/// Whether it is there. Returns `false` while another server makes it; waits where this one does.
pub async fn ensure(owner: &PooledClient) -> Result<bool, Error> {
    let sql = "SELECT indisvalid, EXISTS (SELECT FROM pg_stat_progress_create_index WHERE datname = current_database()) \
               FROM pg_index WHERE indexrelid = to_regclass($1)";
    let rows = owner.query_typed(sql, &[(&NAME, tokio_postgres::types::Type::TEXT)]).await?;
    match rows.first().map(|row| (row.get(0), row.get(1))) {
        Some((true, _)) => return Ok(true),
        Some((false, true)) => return Ok(false),
        // One that was broken off.
        Some((false, false)) => owner.batch_execute(&format!("DROP INDEX CONCURRENTLY {NAME}")).await?,
        None => {}
    }
    let sql = format!(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS {NAME} ON audit_log (cluster_id, transaction_id, id) \
         WHERE cluster_id IS NOT NULL"
    );
    owner.batch_execute(&sql).await?;
    Ok(true)
}
