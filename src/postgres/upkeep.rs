//! What has to be done now and then: partitions made ahead, keys forgotten that nobody will send again.

use std::time::Duration;

use tokio_postgres::Client;

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

async fn once(database: &Database, keys_kept: Duration) -> Result<(), tokio_postgres::Error> {
    let owner = database.connect(DatabaseRole::Owner).await?;
    make_partitions(&owner).await?;
    let projector = database.connect(DatabaseRole::Projector).await?;
    let sql = "SELECT app_private.forget_idempotency_keys(array(SELECT DISTINCT tenant_id FROM stream_heads), \
               now() - make_interval(secs => $1))";
    projector.query_one(sql, &[&keys_kept.as_secs_f64()]).await?;
    Ok(())
}

async fn make_partitions(owner: &Client) -> Result<(), tokio_postgres::Error> {
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
