use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

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
    known: Mutex<Arc<HashSet<String>>>,
    /// One at a time looks, or makes one: the others find it made.
    making: tokio::sync::Mutex<()>,
}

impl PostgresMonths {
    pub fn new(database: Database) -> PostgresMonths {
        PostgresMonths { database, known: Mutex::default(), making: tokio::sync::Mutex::default() }
    }

    fn is_known(&self, name: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    async fn make(&self, month: Date) -> Result<(), tokio_postgres::Error> {
        let mut owner = self.database.connect(DatabaseRole::Owner).await?;
        let transaction = owner.transaction().await?;
        // Attaching a partition waits for writers, and others wait behind it. Of the transaction alone: behind a pooler the
        // session is somebody else's next.
        transaction.batch_execute("SET LOCAL lock_timeout = '2s'").await?;
        transaction.execute("SELECT app_private.create_appointments_partition($1)", &[&PgDate(month)]).await?;
        let partitions = "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid \
                          WHERE inhparent = 'public.appointments'::regclass";
        let rows = transaction.query(partitions, &[]).await?;
        transaction.commit().await?;
        let names = rows.iter().map(|row| row.get(0)).collect();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
        Ok(())
    }
}

impl Months for PostgresMonths {
    fn ensure(&self, at: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let month = at.date_in(&TimeZone::UTC).first_of_month();
            let name = format!("appointments_{:04}{:02}", month.year(), month.month());
            if self.is_known(&name) {
                return Ok(());
            }
            let _turn = self.making.lock().await;
            if self.is_known(&name) {
                return Ok(());
            }
            self.make(month).await.map_err(|error| away(described(&error)))
        })
    }
}
