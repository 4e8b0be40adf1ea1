//! Connections of a pool, what each has prepared, and whether it is done with what was asked of it.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bb8::{Pool, QueueStrategy};
use futures_util::TryStreamExt;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, NoTls, Row, Statement};

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
    unfinished: Unfinished,
}

/// Statements that nobody has waited for to their end: a request that runs out of time drops its statement, and the
/// database goes on with it. Whoever holds a transaction of the client watches its statements by this.
#[derive(Clone, Default)]
pub struct Unfinished(Arc<AtomicUsize>);

impl Unfinished {
    pub async fn watched<T>(&self, statement: impl Future<Output = T>) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        let result = statement.await;
        self.0.fetch_sub(1, Ordering::Relaxed);
        result
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error(transparent)]
    Connecting(#[from] Error),
    #[error("the connection went away while nobody used it")]
    Closed,
}

impl Database {
    /// Connects when a connection is first asked for, so the database may be away now.
    pub fn pool(&self, role: DatabaseRole, size: u32, wait: Duration) -> ConnectionPool {
        Pool::builder()
            .max_size(size)
            .connection_timeout(wait)
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
        let mut rows = Vec::new();
        self.each_row(sql, parameters, |row| rows.push(row)).await?;
        Ok(rows)
    }

    /// The same for long answers: a row is handed over as soon as it is here, while the database makes the next ones.
    pub async fn each_row(
        &self,
        sql: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        mut take: impl FnMut(Row) + Send,
    ) -> Result<(), Error> {
        let known = self.prepared().get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
                let statement = self.watched(self.client.prepare_typed(sql, &types)).await?;
                self.prepared().insert(sql, statement.clone());
                statement
            }
        };
        let reading = async {
            let values = parameters.iter().map(|(value, _)| *value);
            let mut rows = pin!(self.client.query_raw(&statement, values).await?);
            while let Some(row) = rows.try_next().await? {
                take(row);
            }
            Ok(())
        };
        let read = self.watched(reading).await;
        if read.is_err() {
            // It may be of a schema that has changed since.
            self.prepared().remove(sql);
        }
        read
    }

    pub async fn query_typed(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        self.watched(self.client.query_typed(sql, parameters)).await
    }

    pub async fn execute_typed(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<u64, Error> {
        self.watched(self.client.execute_typed(sql, parameters)).await
    }

    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.watched(self.client.batch_execute(sql)).await
    }

    pub fn unfinished(&self) -> Unfinished {
        self.unfinished.clone()
    }

    async fn watched<T>(&self, statement: impl Future<Output = T>) -> T {
        self.unfinished.watched(statement).await
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
    type Error = ConnectionError;

    async fn connect(&self) -> Result<PooledClient, ConnectionError> {
        let client = self.database.connect_pooled(self.role).await?;
        Ok(PooledClient { client, prepared: Mutex::default(), unfinished: Unfinished::default() })
    }

    /// Whoever takes it asks it something at once, so it isn't asked here.
    async fn is_valid(&self, client: &mut PooledClient) -> Result<(), ConnectionError> {
        if client.is_closed() { Err(ConnectionError::Closed) } else { Ok(()) }
    }

    /// One that is still at work for somebody who has gone would keep the next one waiting. It is closed, and what it was
    /// at is cancelled: a closed connection's statement would run on.
    fn has_broken(&self, client: &mut PooledClient) -> bool {
        let is_at_work = client.unfinished.any();
        if is_at_work && !client.is_closed() {
            let cancelling = client.cancel_token();
            self.database.io().spawn(async move {
                if let Err(error) = cancelling.cancel_query(NoTls).await {
                    tracing::debug!(%error, "a statement that nobody waits for could not be cancelled");
                }
            });
        }
        is_at_work || client.is_closed()
    }
}
