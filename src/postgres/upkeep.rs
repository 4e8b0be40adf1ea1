//! What has to be done now and then: partitions made ahead, keys forgotten that nobody will send again.

use std::time::Duration;

use tokio_postgres::Error;
use uuid::Uuid;

use super::{Database, DatabaseRole, described};

/// Partitions exist this many months ahead, so a server that isn't looked after for long still finds one.
const MONTHS_AHEAD: i32 = 3;
const EVERY: Duration = Duration::from_secs(3_600);
/// After a failure it is tried sooner.
const RETRY: Duration = Duration::from_secs(30);

/// Runs until the runtime ends.
pub async fn run(database: Database, keys_kept: Duration) {
    loop {
        let pause = match once(&database, keys_kept).await {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(reason = described(&error), "upkeep of the database failed; it is tried again");
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn once(database: &Database, keys_kept: Duration) -> Result<(), Error> {
    make_partitions(database).await?;
    leave_records_to_store(database).await?;
    forget_keys(database, keys_kept).await
}

/// A deployment that makes months of its own puts its triggers on them, and the journal's store records for itself.
async fn leave_records_to_store(database: &Database) -> Result<(), Error> {
    let mut owner = database.connect(DatabaseRole::Owner).await?;
    let transaction = owner.transaction().await?;
    transaction.batch_execute("SET LOCAL lock_timeout = '500ms'").await?;
    transaction.execute("SELECT app_private.leave_records_to_store('appointments')", &[]).await?;
    transaction.commit().await
}

/// Those of all tenants that are older. Bit by bit: each bit is a transaction, and the feed waits for the longest.
pub async fn forget_keys(database: &Database, keys_kept: Duration) -> Result<(), Error> {
    let reader = database.connect(DatabaseRole::Reader).await?;
    let rows = reader.query_typed("SELECT id FROM tenants", &[]).await?;
    let tenants: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    let projector = database.connect(DatabaseRole::Projector).await?;
    let sql = "SELECT app_private.forget_idempotency_keys($1, now() - make_interval(secs => $2))";
    while projector.query_one(sql, &[&tenants, &keys_kept.as_secs_f64()]).await?.get::<_, i64>(0) > 0 {}
    Ok(())
}

/// Also before anything is written: the last server may have run a year ago.
pub async fn make_partitions(database: &Database) -> Result<(), Error> {
    let owner = database.connect(DatabaseRole::Owner).await?;
    owner
        .execute(
            "SELECT app_private.create_event_partition(month::date), app_private.create_appointments_partition(month::date) \
             FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'), \
                date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => $1), '1 month') month",
            &[&MONTHS_AHEAD],
        )
        .await?;
    Ok(())
}
