//! Connections to the database, each with the one role that its work needs.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use codeccloud_actors::ports::StoreError;
use tokio::runtime::Handle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::pooled::PooledClient;
use super::tls::{AuthoritiesError, Connection, Tls};

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
    /// What this role's work is done under, to be put behind `SET` or `SET LOCAL`.
    fn settings(self) -> Vec<String> {
        // Compiling a plan takes longer than any of our statements.
        let mut settings = vec!["jit = off".to_owned()];
        settings.extend(self.name().map(|name| format!("ROLE {name}")));
        let of_role: &[&str] = match self {
            // Readers take pages in the order of an index. The statistics of a table that has just grown make sorting all
            // of it look cheap, which costs the whole table for every page. They plan anew each time, so that only the
            // partitions in question are opened.
            DatabaseRole::Reader | DatabaseRole::Sealer => &[
                "enable_sort = off",
                "enable_bitmapscan = off",
                "max_parallel_workers_per_gather = 0",
                "plan_cache_mode = force_custom_plan",
            ],
            // An append is a handful of short statements, and planning them anew for each would take longer than running
            // them. Their plans are made while the tables are small and have to hold while these grow.
            DatabaseRole::Journal => &[
                "plan_cache_mode = force_generic_plan",
                "enable_seqscan = off",
                "enable_bitmapscan = off",
                "enable_hashjoin = off",
                "enable_mergejoin = off",
            ],
            DatabaseRole::Owner
            | DatabaseRole::Projector
            | DatabaseRole::Vault
            | DatabaseRole::Operator
            | DatabaseRole::Outbox => &[],
            // A command's statements are as short as an append's, and who holds a lock for so long is no server. One that
            // stops between two of them must not keep its own.
            DatabaseRole::Authenticated | DatabaseRole::Service | DatabaseRole::Customer => &[
                "enable_seqscan = off",
                "enable_hashjoin = off",
                "enable_mergejoin = off",
                "lock_timeout = '2s'",
                "idle_in_transaction_session_timeout = '10s'",
            ],
        };
        settings.extend(of_role.iter().map(|&setting| setting.to_owned()));
        settings
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
    /// A pooler hands each transaction to any session, so none of them remembers anything.
    is_pooled: bool,
    /// Past the pooler.
    direct: Option<Config>,
    tls: Tls,
}

impl Database {
    pub fn new(url: &str, connect_timeout: Duration, io: Handle) -> Result<Database, tokio_postgres::Error> {
        let config = configured(url, connect_timeout)?;
        Ok(Database { config, io, statement_timeout: None, is_pooled: false, direct: None, tls: Tls::public() })
    }

    /// Trusts the certificate authorities in a file, in PEM format, instead of those that browsers do.
    pub fn trusting(self, authorities: &Path) -> Result<Database, AuthoritiesError> {
        Ok(Database { tls: Tls::of_file(authorities)?, ..self })
    }

    /// The URL leads to a pooler in transaction mode. `direct` leads past it, for what such a one can't do: LISTEN, and
    /// changing the schema of a database in use.
    pub fn behind_pooler(
        self,
        direct: Option<&str>,
        connect_timeout: Duration,
    ) -> Result<Database, tokio_postgres::Error> {
        let direct = direct.map(|url| configured(url, connect_timeout)).transpose()?;
        Ok(Database { is_pooled: true, direct, ..self })
    }

    /// Whether sessions of our own are to be had.
    pub fn has_sessions(&self) -> bool {
        !self.is_pooled || self.direct.is_some()
    }

    /// Ends statements of pooled connections that take longer; those of the journal are ended by nobody, since a commit
    /// that is broken off has an unknown outcome.
    #[must_use]
    pub fn with_statement_timeout(self, timeout: Duration) -> Database {
        Database { statement_timeout: Some(timeout), ..self }
    }

    /// The schema's owner goes past a pooler if there is a way.
    pub async fn connect(&self, role: DatabaseRole) -> Result<PooledClient, tokio_postgres::Error> {
        self.connect_with(role, role.settings()).await
    }

    pub(super) async fn connect_pooled(&self, role: DatabaseRole) -> Result<PooledClient, tokio_postgres::Error> {
        let timeout = self.statement_timeout.map(|timeout| format!("statement_timeout = {}", timeout.as_millis()));
        self.connect_with(role, role.settings().into_iter().chain(timeout).collect()).await
    }

    async fn connect_with(
        &self,
        role: DatabaseRole,
        settings: Vec<String>,
    ) -> Result<PooledClient, tokio_postgres::Error> {
        let (config, is_pooled) = self.way(role);
        let (client, connection) = self.connect_to(config).await?;
        self.io.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, ?role, "a database connection ended");
            }
        });
        PooledClient::begin(client, settings, is_pooled).await
    }

    /// And whether there is a pooler on it.
    fn way(&self, role: DatabaseRole) -> (&Config, bool) {
        match &self.direct {
            Some(direct) if role == DatabaseRole::Owner => (direct, false),
            Some(_) | None => (&self.config, self.is_pooled),
        }
    }

    /// For a request to cancel what a connection of the role is at.
    pub(super) fn tls(&self, role: DatabaseRole) -> MakeRustlsConnect {
        self.tls.for_url(self.way(role).0)
    }

    /// A connection whose messages besides answers are wanted: for LISTEN. `None` where only a pooler is to be had.
    pub async fn connect_listening(&self) -> Result<Option<(Client, Connection)>, tokio_postgres::Error> {
        match &self.direct {
            Some(direct) => self.connect_to(direct).await.map(Some),
            None if self.is_pooled => Ok(None),
            None => self.connect_to(&self.config).await.map(Some),
        }
    }

    async fn connect_to(&self, config: &Config) -> Result<(Client, Connection), tokio_postgres::Error> {
        // The socket belongs to the runtime that it is made on, and the caller's may end sooner: a projection that has
        // caught up stops its arbiter, and would take connections of the pool with it.
        let mut connecting = pin!(config.connect(self.tls.for_url(config)));
        poll_fn(|context| {
            let _io = self.io.enter();
            connecting.as_mut().poll(context)
        })
        .await
    }

    pub fn io(&self) -> &Handle {
        &self.io
    }
}

fn configured(url: &str, connect_timeout: Duration) -> Result<Config, tokio_postgres::Error> {
    let mut config: Config = url.parse()?;
    config.connect_timeout(connect_timeout).application_name("codeccloud");
    // Encryption asks for a name; whoever is reached by the address alone goes by that.
    if config.get_hosts().is_empty() {
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
    // Tells apart a server that went away from one that is slow; the kernel's own default takes minutes.
    config.keepalives_idle(Duration::from_secs(15)).tcp_user_timeout(Duration::from_secs(15));
    Ok(config)
}

pub(super) fn away(error: impl std::fmt::Display) -> StoreError {
    StoreError(error.to_string())
}

/// Whether a check, a reference or a trigger refuses what is written: the MVP's, or a deployment's own, which no aggregate
/// knows. Nothing but a change of the data or of the rule helps.
pub(super) fn is_broken_rule(code: &SqlState) -> bool {
    matches!(
        *code,
        SqlState::CHECK_VIOLATION
            | SqlState::FOREIGN_KEY_VIOLATION
            | SqlState::NOT_NULL_VIOLATION
            | SqlState::RAISE_EXCEPTION
    )
}

/// What Postgres says, which `Display` of the driver's error leaves out.
pub(crate) fn described(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{}: {}", db.code().code(), db.message()),
        // Such as what is wrong with a certificate.
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}
