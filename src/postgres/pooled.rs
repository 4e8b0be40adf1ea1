//! Connections of a pool, and what each has prepared.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bb8::{Pool, QueueStrategy};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use super::{Database, DatabaseRole};

pub type ConnectionPool = Pool<Connector>;

/// What a pool makes its connections with.
pub struct Connector {
    database: Database,
    role: DatabaseRole,
}

pub struct PooledClient {
    client: Client,
    prepared: Mutex<HashMap<&'static str, Statement>>,
}

impl Database {
    /// Connects when a connection is first asked for, so the database may be away now.
    pub fn pool(&self, role: DatabaseRole, size: u32, wait: Duration) -> ConnectionPool {
        Pool::builder()
            .max_size(size)
            .connection_timeout(wait)
            .test_on_check_out(false)
            // The connection used last has the most in its caches.
            .queue_strategy(QueueStrategy::Lifo)
            .build_unchecked(Connector { database: self.clone(), role })
    }
}

impl PooledClient {
    /// Runs a statement of the hot path, which is parsed when this connection meets it for the first time.
    pub async fn query_prepared(
        &self,
        sql: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let known = self.prepared().get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
                let statement = self.client.prepare_typed(sql, &types).await?;
                self.prepared().insert(sql, statement.clone());
                statement
            }
        };
        let values: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|(value, _)| *value).collect();
        let rows = self.client.query(&statement, &values).await;
        if rows.is_err() {
            // It may be of a schema that has changed since.
            self.prepared().remove(sql);
        }
        rows
    }

    fn prepared(&self) -> MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.prepared.lock().expect("nothing panics under this lock")
    }
}

impl Deref for PooledClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for PooledClient {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl bb8::ManageConnection for Connector {
    type Connection = PooledClient;
    type Error = Error;

    async fn connect(&self) -> Result<PooledClient, Error> {
        let client = self.database.connect_pooled(self.role).await?;
        Ok(PooledClient { client, prepared: Mutex::default() })
    }

    async fn is_valid(&self, client: &mut PooledClient) -> Result<(), Error> {
        client.batch_execute("").await
    }

    fn has_broken(&self, client: &mut PooledClient) -> bool {
        client.is_closed()
    }
}
