//! Connections of a pool, what each has prepared, and whether it is done with what was asked of it.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bb8::{Pool, QueueStrategy};
use futures_util::TryStreamExt;
use futures_util::future::{join, join3, try_join_all};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, IsolationLevel, Row, RowStream, Statement, Transaction};

use super::{Database, DatabaseRole};

pub type ConnectionPool = Pool<Connector>;

/// What a pool makes its connections with.
pub struct Connector {
    database: Database,
    role: DatabaseRole,
}

/// A connection with the role that its work needs. To a server it has that role for as long as it lives. Behind a pooler,
/// each unit of work is a transaction that begins with it: none of the methods here relies on anything that a session would
/// have to remember, so no statement has a name outside of a transaction.
pub struct PooledClient {
    client: Client,
    prepared: Mutex<HashMap<String, Statement>>,
    /// Those that this connection has met and not prepared yet.
    met: Mutex<HashMap<String, Vec<Type>>>,
    unfinished: Unfinished,
    /// Of each transaction, behind a pooler.
    settings: Option<Vec<String>>,
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
    pub(super) async fn begin(client: Client, settings: Vec<String>, is_pooled: bool) -> Result<PooledClient, Error> {
        let (prepared, met, unfinished) = Default::default();
        if is_pooled {
            return Ok(PooledClient { client, prepared, met, unfinished, settings: Some(settings) });
        }
        client.batch_execute(&statements("SET", &settings)).await?;
        Ok(PooledClient { client, prepared, met, unfinished, settings: None })
    }

    /// From now on, such as `lock_timeout = '2s'`.
    pub async fn set(&mut self, setting: &str) -> Result<(), Error> {
        match &mut self.settings {
            // The last one of a name wins.
            Some(settings) => {
                let name = setting.split('=').next().unwrap_or_default();
                settings.retain(|other| !other.starts_with(name));
                settings.push(setting.to_owned());
                Ok(())
            }
            None => self.batch_execute(&format!("SET {setting}")).await,
        }
    }

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
        take: impl FnMut(Row) + Send,
    ) -> Result<(), Error> {
        if self.settings.is_some() {
            let parameters = parameters.iter().map(|(value, kind)| (*value, kind.clone()));
            let reading = async { hand_over(self.client.query_typed_raw(sql, parameters).await?, take).await };
            return self.unit(reading).await;
        }
        let statement = self.prepared_statement(sql, parameters).await?;
        let values = parameters.iter().map(|(value, _)| *value);
        let reading = async { hand_over(self.client.query_raw(&statement, values).await?, take).await };
        let read = self.watched(reading).await;
        if read.as_ref().is_err_and(|error| !is_our_refusal(error)) {
            // It may be of a schema that has changed since.
            self.prepared().remove(sql);
        }
        read
    }

    pub async fn query_typed(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        self.unit(self.client.query_typed(sql, parameters)).await
    }

    pub async fn execute_typed(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<u64, Error> {
        self.unit(self.client.execute_typed(sql, parameters)).await
    }

    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.unit(self.client.batch_execute(sql)).await
    }

    /// Two statements as one transaction, sent in one go: one round trip, and complete on the server even when nobody waits
    /// for it any more. The answer is that of the second.
    pub async fn query_after(
        &self,
        first: (&str, &[(&(dyn ToSql + Sync), Type)]),
        second: (&str, &[(&(dyn ToSql + Sync), Type)]),
    ) -> Result<Vec<Row>, Error> {
        self.prepare_met().await?;
        let both = async {
            let (first, second) =
                join(self.query_in_flight(first.0, first.1), self.query_in_flight(second.0, second.1)).await;
            first.and(second)
        };
        self.in_transaction(&self.opening(), both).await
    }

    /// Two statements of the hot path as one transaction, in the same manner. The answer is that of the first. What follows
    /// a statement that fails is refused, and the commit takes all back.
    pub async fn query_with(
        &self,
        first: (&'static str, &[(&(dyn ToSql + Sync), Type)]),
        second: (&'static str, &[(&(dyn ToSql + Sync), Type)]),
    ) -> Result<Vec<Row>, Error> {
        if self.settings.is_some() {
            let both = async {
                let (first, second) =
                    join(self.client.query_typed(first.0, first.1), self.client.query_typed(second.0, second.1)).await;
                let answer = first?;
                second.map(|_| answer)
            };
            return self.in_transaction(&self.opening(), both).await;
        }
        let statements =
            (self.prepared_statement(first.0, first.1).await?, self.prepared_statement(second.0, second.1).await?);
        let of_first: Vec<_> = first.1.iter().map(|(value, _)| *value).collect();
        let of_second: Vec<_> = second.1.iter().map(|(value, _)| *value).collect();
        let both = async {
            let (first, second) =
                join(self.client.query(&statements.0, &of_first), self.client.query(&statements.1, &of_second)).await;
            let answer = first?;
            second.map(|_| answer)
        };
        let done = self.in_transaction("BEGIN", both).await;
        if done.as_ref().is_err_and(|error| !is_our_refusal(error)) {
            self.prepared().clear();
        }
        done
    }

    /// A statement of a transaction whose statements the caller sends in one go. It can't be prepared between two others,
    /// which would wait for it: it is by the next [`prepare_met`](Self::prepare_met).
    pub(super) async fn query_in_flight(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let known = self.prepared().get(sql).cloned();
        let Some(statement) = known else {
            if self.settings.is_none() {
                let types = parameters.iter().map(|(_, kind)| kind.clone()).collect();
                self.met().insert(sql.to_owned(), types);
            }
            return self.client.query_typed(sql, parameters).await;
        };
        let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
        let answer = self.client.query(&statement, &values).await;
        if answer.as_ref().is_err_and(is_of_old_schema) {
            self.prepared().remove(sql);
        }
        answer
    }

    /// Before a transaction: prepares the statements that this connection has met since.
    pub(super) async fn prepare_met(&self) -> Result<(), Error> {
        let met = std::mem::take(&mut *self.met());
        let prepared = met.iter().map(|(sql, types)| self.client.prepare_typed(sql, types));
        let prepared = self.watched(try_join_all(prepared)).await?;
        self.prepared().extend(met.into_keys().zip(prepared));
        Ok(())
    }

    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        self.step_by_step(self.client.query(sql, parameters)).await
    }

    pub async fn query_one(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        self.step_by_step(self.client.query_one(sql, parameters)).await
    }

    pub async fn query_opt(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error> {
        self.step_by_step(self.client.query_opt(sql, parameters)).await
    }

    pub async fn execute(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.step_by_step(self.client.execute(sql, parameters)).await
    }

    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        let settings = self.settings_of_transaction();
        let transaction = self.client.transaction().await?;
        if !settings.is_empty() {
            transaction.batch_execute(&settings).await?;
        }
        Ok(transaction)
    }

    /// One state of the database for all that is read.
    pub async fn snapshot(&mut self) -> Result<Transaction<'_>, Error> {
        let settings = self.settings_of_transaction();
        let beginning = self.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = beginning.start().await?;
        if !settings.is_empty() {
            transaction.batch_execute(&settings).await?;
        }
        Ok(transaction)
    }

    /// The same for work that takes as long as it takes, whatever bounds the database puts on statements and transactions.
    pub async fn long_snapshot(&mut self) -> Result<Transaction<'_>, Error> {
        let transaction = self.snapshot().await?;
        let unbounded = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        transaction.batch_execute(unbounded).await?;
        Ok(transaction)
    }

    pub fn unfinished(&self) -> Unfinished {
        self.unfinished.clone()
    }

    /// What is sent at once, and under a pooler in a transaction.
    async fn unit<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        if self.settings.is_none() {
            self.watched(work).await
        } else {
            self.in_transaction(&self.opening(), work).await
        }
    }

    async fn in_transaction<T>(&self, opening: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let all = join3(self.client.batch_execute(opening), work, self.client.batch_execute("COMMIT"));
        let (begun, done, ended) = self.watched(all).await;
        begun?;
        let done = done?;
        ended.map(|()| done)
    }

    /// What takes several round trips: a statement that is given a name.
    async fn step_by_step<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        if self.settings.is_none() {
            return self.watched(work).await;
        }
        self.watched(async {
            self.client.batch_execute(&self.opening()).await?;
            let done = work.await;
            // A row keeps its statement, so the name would outlive the transaction.
            let end = if done.is_ok() { "DEALLOCATE ALL; COMMIT" } else { "ROLLBACK" };
            self.client.batch_execute(end).await?;
            done
        })
        .await
    }

    async fn prepared_statement(
        &self,
        sql: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Statement, Error> {
        let known = self.prepared().get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
        let statement = self.watched(self.client.prepare_typed(sql, &types)).await?;
        self.prepared().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// What a transaction begins with, for whoever sends its statements by the driver's own means.
    pub(super) fn opening(&self) -> String {
        format!("BEGIN; {}", self.local_settings())
    }

    /// Without the names that somebody else has left behind: those of the driver are numbers, in every process anew.
    fn settings_of_transaction(&self) -> String {
        if self.settings.is_none() { String::new() } else { format!("DEALLOCATE ALL; {}", self.local_settings()) }
    }

    fn local_settings(&self) -> String {
        self.settings.as_deref().map(|settings| statements("SET LOCAL", settings)).unwrap_or_default()
    }

    async fn watched<T>(&self, statement: impl Future<Output = T>) -> T {
        self.unfinished.watched(statement).await
    }

    fn prepared(&self) -> MutexGuard<'_, HashMap<String, Statement>> {
        self.prepared.lock().expect("nothing panics under this lock")
    }

    fn met(&self) -> MutexGuard<'_, HashMap<String, Vec<Type>>> {
        self.met.lock().expect("nothing panics under this lock")
    }
}

fn statements(set: &str, settings: &[String]) -> String {
    settings.iter().map(|setting| format!("{set} {setting};")).collect()
}

async fn hand_over(rows: RowStream, mut take: impl FnMut(Row) + Send) -> Result<(), Error> {
    let mut rows = pin!(rows);
    while let Some(row) = rows.try_next().await? {
        take(row);
    }
    Ok(())
}

/// Raised by our own functions, which are as they should be then.
fn is_our_refusal(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("CC"))
}

/// What was prepared for tables as they were.
fn is_of_old_schema(error: &Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::FEATURE_NOT_SUPPORTED || code.code().starts_with("42"))
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
        Ok(self.database.connect_pooled(self.role).await?)
    }

    /// Whoever takes it asks it something at once, so it isn't asked here.
    async fn is_valid(&self, client: &mut PooledClient) -> Result<(), ConnectionError> {
        if client.is_closed() { Err(ConnectionError::Closed) } else { Ok(()) }
    }

    /// One that is still at work for somebody who has gone would keep the next one waiting. It is closed, and what it was
    /// at is cancelled: a closed connection's statement would run on.
    fn has_broken(&self, client: &mut PooledClient) -> bool {
        let is_at_work = client.unfinished.any();
        // A pooler ends it by itself, and the one that Debian has does not survive being asked to.
        if is_at_work && !client.is_closed() && client.settings.is_none() {
            let (cancelling, tls) = (client.cancel_token(), self.database.tls(self.role));
            self.database.io().spawn(async move {
                if let Err(error) = cancelling.cancel_query(tls).await {
                    tracing::debug!(%error, "a statement that nobody waits for could not be cancelled");
                }
            });
        }
        is_at_work || client.is_closed()
    }
}
