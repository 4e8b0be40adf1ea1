//! Connections to the database, each with the one role that its work needs.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use codeccloud_actors::ports::StoreError;
use tokio::runtime::Handle;
use tokio_postgres::{Client, Config, NoTls};

/// The roles of the server's own connections; what each may do stands in `schema/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseRole {
    /// The login role itself: owner of the schema.
    Owner,
    Journal,
    Reader,
    Projector,
    Vault,
    Operator,
    /// A front-end's server, through the policies; the claims are set per transaction.
    Service,
    /// A customer, likewise.
    Customer,
    /// Reads the audit log of all tenants, and appends seals.
    Sealer,
    Outbox,
    /// A member, through the policies; the claims are set per transaction.
    Authenticated,
}

impl DatabaseRole {
    /// What a connection of this role begins with.
    fn settings(self) -> String {
        let role = self.name().map(|name| format!("SET ROLE {name};")).unwrap_or_default();
        match self {
            // Readers take pages in the order of an index. The statistics of a table that has just grown make sorting all
            // of it look cheap, which costs the whole table for every page. They plan anew each time, so that only the
            // partitions in question are opened.
            DatabaseRole::Reader | DatabaseRole::Sealer => format!(
                "{role} SET enable_sort = off; SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0; \
                 SET plan_cache_mode = force_custom_plan;"
            ),
            // An append is a handful of short statements, and planning them anew for each would take longer than running
            // them. Their plans are made while the tables are small and have to hold while these grow.
            DatabaseRole::Journal => format!(
                "{role} SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
                 SET enable_hashjoin = off; SET enable_mergejoin = off;"
            ),
            DatabaseRole::Owner
            | DatabaseRole::Projector
            | DatabaseRole::Vault
            | DatabaseRole::Operator
            | DatabaseRole::Outbox => role,
            // A command's statements are as short as an append's.
            DatabaseRole::Authenticated | DatabaseRole::Service | DatabaseRole::Customer => {
                format!("{role} SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;")
            }
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            DatabaseRole::Owner => None,
            DatabaseRole::Journal => Some("codeccloud_journal"),
            DatabaseRole::Reader => Some("codeccloud_reader"),
            DatabaseRole::Projector => Some("codeccloud_projector"),
            DatabaseRole::Vault => Some("codeccloud_vault"),
            DatabaseRole::Operator => Some("codeccloud_operator"),
            DatabaseRole::Sealer => Some("codeccloud_sealer"),
            DatabaseRole::Outbox => Some("codeccloud_outbox"),
            DatabaseRole::Authenticated => Some("authenticated"),
            DatabaseRole::Service => Some("codeccloud_service"),
            DatabaseRole::Customer => Some("codeccloud_customer"),
        }
    }
}

/// A database, not yet a connection to it.
#[derive(Clone)]
pub struct Database {
    config: Config,
    /// Connections live on this runtime, whichever thread asks for them.
    io: Handle,
    statement_timeout: Option<Duration>,
}

impl Database {
    pub fn new(url: &str, connect_timeout: Duration, io: Handle) -> Result<Database, tokio_postgres::Error> {
        let mut config: Config = url.parse()?;
        config.connect_timeout(connect_timeout).application_name("codeccloud");
        // Tells apart a server that went away from one that is slow; the kernel's own default takes minutes.
        config.keepalives_idle(Duration::from_secs(15)).tcp_user_timeout(Duration::from_secs(15));
        Ok(Database { config, io, statement_timeout: None })
    }

    /// Ends statements of pooled connections that take longer; those of the journal are ended by nobody, since a commit
    /// that is broken off has an unknown outcome.
    #[must_use]
    pub fn with_statement_timeout(self, timeout: Duration) -> Database {
        Database { statement_timeout: Some(timeout), ..self }
    }

    pub async fn connect(&self, role: DatabaseRole) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.connect_raw().await?;
        self.io.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, ?role, "a database connection ended");
            }
        });
        // Compiling a plan takes longer than any of our statements.
        client.batch_execute(&format!("SET jit = off; {}", role.settings())).await?;
        Ok(client)
    }

    /// A connection whose messages besides answers are wanted: for LISTEN.
    pub async fn connect_raw(
        &self,
    ) -> Result<
        (Client, tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>),
        tokio_postgres::Error,
    > {
        // The socket belongs to the runtime that it is made on, and the caller's may end sooner: a projection that has
        // caught up stops its arbiter, and would take connections of the pool with it.
        let mut connecting = pin!(self.config.connect(NoTls));
        poll_fn(|context| {
            let _io = self.io.enter();
            connecting.as_mut().poll(context)
        })
        .await
    }

    pub(super) async fn connect_pooled(&self, role: DatabaseRole) -> Result<Client, tokio_postgres::Error> {
        let client = self.connect(role).await?;
        if let Some(timeout) = self.statement_timeout {
            client.batch_execute(&format!("SET statement_timeout = {}", timeout.as_millis())).await?;
        }
        Ok(client)
    }

    pub fn io(&self) -> &Handle {
        &self.io
    }
}

pub(super) fn away(error: impl std::fmt::Display) -> StoreError {
    StoreError(error.to_string())
}

/// What Postgres says, which `Display` of the driver's error leaves out.
pub(crate) fn described(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{}: {}", db.code().code(), db.message()),
        None => error.to_string(),
    }
}
