use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use codeccloud_actors::ports::StoreError;
use codeccloud_actors::time::Timestamp;
use futures_util::future::BoxFuture;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::commands::Months;
use crate::postgres::types::PgDate;
use crate::postgres::{Database, DatabaseRole, away, described};

/// Partitions of `appointments`, made when somebody books further ahead than upkeep has made them. Months are UTC.
pub struct PostgresMonths {
    database: Database,
    known: Mutex<HashSet<Date>>,
}

impl PostgresMonths {
    pub fn new(database: Database) -> PostgresMonths {
        PostgresMonths { database, known: Mutex::default() }
    }

    async fn make(&self, month: Date) -> Result<(), StoreError> {
        let owner = self.database.connect(DatabaseRole::Owner).await.map_err(|error| away(described(&error)))?;
        // Attaching a partition waits for writers, and others wait behind it.
        owner.batch_execute("SET lock_timeout = '2s'").await.map_err(|error| away(described(&error)))?;
        let sql = "SELECT app_private.create_appointments_partition($1)";
        owner.execute(sql, &[&PgDate(month)]).await.map_err(|error| away(described(&error)))?;
        Ok(())
    }
}

impl Months for PostgresMonths {
    fn ensure(&self, at: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let month = at.date_in(&TimeZone::UTC).first_of_month();
            if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&month) {
                return Ok(());
            }
            self.make(month).await?;
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(month);
            Ok(())
        })
    }
}
