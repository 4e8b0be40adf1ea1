//! The database, before anything is served from it.

use std::time::Duration;

use tokio::runtime::Handle;

use super::StartError;
use crate::clock::SystemIds;
use crate::postgres::schema;
use crate::postgres::tenants::TenantRow;
use crate::postgres::{Database, DatabaseRole, PostgresMonths, tenants, upkeep};
use crate::settings::{Pooler, Settings};
use crate::{demo, postgres};

/// The database that a URL names. Its connections live on the current runtime.
pub fn open(url: &str, settings: &Settings) -> Result<Database, StartError> {
    let timeout = Duration::from_millis(settings.database.connect_timeout_ms);
    let database = Database::new(url, timeout, Handle::current());
    let database = database.and_then(|database| match settings.database.pooler {
        Pooler::None => Ok(database),
        Pooler::Transaction => {
            let direct = settings.database.direct_url.as_ref().map(|url| url.expose().as_str());
            database.behind_pooler(direct, timeout)
        }
    });
    let mut database = database.map_err(|error| StartError::Database(error.to_string()))?;
    let authorities = &settings.database.ca_file;
    if !authorities.as_os_str().is_empty() {
        let trusting = database.trusting(authorities);
        database = trusting.map_err(|error| StartError::Settings(format!("database.ca_file: {error}")))?;
    }
    Ok(database.with_statement_timeout(Duration::from_millis(settings.database.statement_timeout_ms)))
}

pub(super) async fn prepare(database: &Database, settings: &Settings, with_demo: bool) -> Result<(), StartError> {
    let unusable = |error: postgres::DatabaseError| StartError::Database(postgres::described(&error));
    let mut owner = database.connect(DatabaseRole::Owner).await.map_err(unusable)?;
    if !database.has_sessions() {
        schema::refuse_without_session(&mut owner).await?;
    }
    for applied in schema::apply(&mut owner).await? {
        tracing::info!(number = applied.number, name = applied.name, "migration applied");
    }
    upkeep::make_partitions(database).await.map_err(unusable)?;
    let mut operator = database.connect(DatabaseRole::Operator).await.map_err(unusable)?;
    if !settings.scale.feature {
        refuse_scaled_tenants(&tenants::list(&operator).await.map_err(unusable)?)?;
    }
    postgres::rebuild_rows(database, &PostgresMonths::new(database.clone())).await?;
    if with_demo {
        for salon in demo::salons(&SystemIds, settings.scale.stage_at_creation()) {
            tenants::create(&mut operator, &salon).await.map_err(unusable)?;
        }
    }
    Ok(())
}

/// Rows that are written without their events would be lost to who is decided on by events, so there is no way back yet.
fn refuse_scaled_tenants(tenants: &[TenantRow]) -> Result<(), StartError> {
    let is_scaled = |tenant: &&TenantRow| tenant.stage.is_event_sourced();
    let scaled: Vec<&str> = tenants.iter().filter(is_scaled).map(|tenant| tenant.slug.as_str()).collect();
    if scaled.is_empty() {
        return Ok(());
    }
    let (first, count) = (scaled[0], scaled.len());
    Err(StartError::Settings(format!(
        "FEATURE_SCALE is off, but {count} tenants are in scale mode ({first} for one), from which there is no way back \
         yet: start with FEATURE_SCALE=on"
    )))
}
