//! The composition root: settings → adapters → actors → server.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codeccloud_actors::envelope::{Caller, Role};
use codeccloud_actors::ids::{NodeId, TenantId, UserId};
use codeccloud_actors::ports::{Clock, IdempotencyStore, Ids, StoreError, StreamStore};
use codeccloud_actors::projections::appointment_summaries::AppointmentSummaries;
use codeccloud_actors::reference::MemberRole;
use codeccloud_actors::runtime::{
    ProjectionPorts, ProjectionSettings, Projections, Published, Runtime, RuntimePorts, RuntimeSettings,
};
use codeccloud_actors::time::{DAY_MS, Slot};
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use crate::admin::{self, Admin, AdminPorts};
use crate::audit::{SealKey, SealKeys};
use crate::auth::{TokenAuthenticator, TokenKeys};
use crate::clock::{SystemClock, SystemIds};
use crate::commands::{CommandPorts, StagedCommands};
use crate::event_sourced::{Actors, EventSourcedQueries, QueryPorts, RememberingIdempotency, RememberingJournal};
use crate::http::{self, Door, Limits};
use crate::outbox::{self, OutboxHouse, OutboxWorker};
use crate::ports::{AvailabilityQuery, Queries, Readiness, Reference, Scope};
use crate::postgres::audit::{PostgresAudit, Sealer, SealerSettings};
use crate::postgres::embedded::{EmbeddedError, EmbeddedPostgres};
use crate::postgres::schema::{self, SchemaError};
use crate::postgres::tenants::TenantRow;
use crate::postgres::{
    CallerPools, ConnectionPool, Database, DatabaseRole, FeedSettings, FeedWaker, JournalSettings, OutboxWaker,
    PostgresFeed, PostgresIdempotency, PostgresJournal, PostgresMonths, PostgresPastBookings,
    PostgresProjectionOperators, PostgresProjectionStore, PostgresReference, PostgresSnapshots, PostgresStreams,
    PostgresVault, PostgresWebhooks, TransactionalCommands, TransactionalPorts, TransactionalQueries,
    TransactionalQueryPorts, tenants, upkeep,
};
use crate::queries::StagedQueries;
use crate::redis::{self, CopyKey, Redis, RedisSettings, Stores};
use crate::settings::{Pooler, Settings};
use crate::telemetry::{self, Prometheus};
use crate::vault::{MasterKey, MasterKeys, Vault};
use crate::{demo, postgres};

/// How long a request waits for a database connection before it is told to come back.
const POOL_WAIT: Duration = Duration::from_millis(500);

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    #[error("the database can't be used: {0}")]
    Database(String),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Settings(String),
    #[error("can't listen on {address}: {reason}")]
    Listen { address: SocketAddr, reason: std::io::Error },
    #[error("stopped while it started")]
    Interrupted,
}

/// A running server. It serves on the actix system that it was started on.
pub struct App {
    pub address: SocketAddr,
    embedded: Option<EmbeddedPostgres>,
    server: actix_web::dev::ServerHandle,
    runtime: Runtime,
    projections: Projections,
    snapshots: Arc<PostgresSnapshots>,
    queries: Arc<dyn Queries>,
    reference: Arc<dyn Reference>,
    admin: Arc<Admin>,
    sealer: tokio::task::AbortHandle,
    outbox: OutboxWorker,
    /// For a stop, but for the embedded database's own.
    stop_limit: Duration,
}

/// The connections that adapters share, each pool with one role.
struct Pools {
    reader: ConnectionPool,
    /// Apart from the other readers', so that no crowd of slow searches stops the read models of all tenants.
    feed: ConnectionPool,
    projector: ConnectionPool,
    vault: ConnectionPool,
    callers: CallerPools,
    outbox: ConnectionPool,
}

impl App {
    /// Brings the database up to date and starts everything on it, or stops what it has started once `interrupted` is
    /// over. Call it within an actix system.
    pub async fn start(
        settings: &Settings,
        with_demo: bool,
        metrics: Prometheus,
        interrupted: impl Future<Output = ()>,
    ) -> Result<App, StartError> {
        let mut interrupted = pin!(interrupted);
        let embedded = match &settings.database.url {
            Some(_) => None,
            None => Some(tokio::select! {
                started = EmbeddedPostgres::start(&settings.data.dir) => started?,
                () = &mut interrupted => return Err(StartError::Interrupted),
            }),
        };
        let url = match (&settings.database.url, &embedded) {
            (Some(url), _) => url.expose().clone(),
            (None, Some(embedded)) => embedded.url(),
            (None, None) => unreachable!("one of the two was just made"),
        };
        let started = tokio::select! {
            started = App::start_on(&url, settings, with_demo, metrics) => started,
            () = interrupted => Err(StartError::Interrupted),
        };
        match started {
            Ok(app) => Ok(App { embedded, ..app }),
            Err(error) => {
                if let Some(embedded) = embedded {
                    embedded.stop().await;
                }
                Err(error)
            }
        }
    }

    async fn start_on(url: &str, settings: &Settings, with_demo: bool, metrics: Prometheus) -> Result<App, StartError> {
        let database = open(url, settings)?;
        prepare(&database, settings, with_demo).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let node_id = NodeId(ids.uuid());
        let pools = pools(&database, settings);
        let reference =
            PostgresReference::start(&database, pools.reader.clone(), pools.callers.members.clone(), ids.clone())
                .await?;
        let waker = FeedWaker::default();
        waker.start(&database, Duration::from_millis(settings.feed.coalesce_ms));
        let stores = stores(settings).await?;
        let idempotency: Arc<dyn IdempotencyStore> = Arc::new(RememberingIdempotency {
            store: Arc::new(PostgresIdempotency::new(pools.reader.clone())),
            answers: stores.answers.clone(),
        });
        let journal = PostgresJournal::start(&database, &journal_settings(settings), &idempotency, &waker);
        let streams: Arc<dyn StreamStore> = Arc::new(PostgresStreams::new(pools.reader.clone()));
        let snapshots = Arc::new(PostgresSnapshots::start(&database, pools.projector.clone()));
        let runtime = Runtime::start(
            node_id,
            runtime_settings(settings),
            RuntimePorts {
                journal: Arc::new(RememberingJournal { journal: Arc::new(journal), answers: stores.answers.clone() }),
                streams: streams.clone(),
                snapshots: snapshots.clone(),
                idempotency: idempotency.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
            },
        );
        let projections = Projections::start(
            ProjectionPorts {
                feed: Arc::new(PostgresFeed::new(pools.feed, waker, feed_settings(settings))),
                store: Arc::new(PostgresProjectionStore::new(pools.projector.clone())),
                clock: clock.clone(),
                continue_trace: telemetry::set_parent,
            },
            &projection_settings(settings),
            runtime.clone(),
        )
        .await?;
        let operators = PostgresProjectionOperators::start(&database, pools.projector.clone(), node_id);
        projections.follow_orders(Arc::new(operators));
        let vault = Arc::new(Vault::new(
            master_keys(settings)?,
            Arc::new(PostgresVault::new(pools.vault.clone())),
            clock.clone(),
        ));
        let summaries = projections.appointment_summaries.published().clone();
        let outbox_waker = OutboxWaker::default();
        outbox_waker.start(&database, Duration::from_millis(settings.feed.coalesce_ms));
        let wake_outbox = outbox_waker.clone();
        let commands = StagedCommands::new(CommandPorts {
            node_id,
            event_sourced: Arc::new(Actors::new(runtime.clone(), summaries.clone(), streams.clone())),
            transactional: Arc::new(TransactionalCommands::new(TransactionalPorts {
                callers: pools.callers.clone(),
                readers: pools.reader.clone(),
                idempotency: idempotency.clone(),
                answers: stores.answers.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                io: database.io().clone(),
            })),
            months: Arc::new(PostgresMonths::new(database.clone())),
            reference: reference.clone(),
            vault: vault.clone(),
            idempotency,
            sessions: stores.sessions.clone(),
            answers: stores.answers,
            committed: Box::new(move || wake_outbox.committed()),
            ids: ids.clone(),
        });
        let transactional = TransactionalQueries::new(TransactionalQueryPorts {
            callers: pools.callers.clone(),
            readers: pools.reader.clone(),
            reference: reference.clone(),
            clock: clock.clone(),
        });
        let event_sourced = EventSourcedQueries::new(QueryPorts {
            projections: projections.clone(),
            reference: reference.clone(),
            streams,
            past: Arc::new(PostgresPastBookings::new(pools.reader.clone())),
            sessions: stores.sessions,
            clock: clock.clone(),
            read_your_writes: Duration::from_millis(settings.projections.read_your_writes_ms),
        });
        let queries: Arc<dyn Queries> = Arc::new(StagedQueries {
            event_sourced: Arc::new(event_sourced),
            transactional: Arc::new(transactional),
            reference: reference.clone(),
        });
        let sealer = tokio::spawn(Sealer::new(database.clone(), sealer_settings(settings)?).run()).abort_handle();
        let webhooks = PostgresWebhooks {
            members: pools.callers.members.clone(),
            keys: master_keys(settings)?,
            waker: outbox_waker.clone(),
            ids: ids.clone(),
            allow_private_addresses: settings.webhooks.allow_private_addresses,
            previous_secret_hours: settings.webhooks.previous_secret_hours,
        };
        let outbox = outbox::start(
            settings,
            OutboxHouse {
                pool: pools.outbox,
                wake: outbox_waker.worker(),
                customers: vault.clone(),
                keys: master_keys(settings)?,
                clock: clock.clone(),
                ids: ids.clone(),
            },
        );
        let outbox = outbox.map_err(|error| StartError::Settings(error.to_string()))?;
        tokio::spawn(metrics.clone().upkeep());
        tokio::spawn(upkeep::run(
            database,
            Duration::from_secs(u64::from(settings.idempotency.retention_hours) * 3_600),
        ));
        let is_limited = settings.rate_limit.requests_per_minute > 0 && !with_demo;
        let rendering = move || metrics.render();
        let authenticator = Arc::new(TokenAuthenticator::new(token_keys(settings)?, clock.clone()));
        let admin = Admin::start(AdminPorts {
            queries: queries.clone(),
            reference: reference.clone(),
            authenticator: authenticator.clone(),
            progress: summaries.progress(),
            change_of: changes(summaries, reference.clone(), clock.clone()),
            clock: clock.clone(),
            request_limit: limits(settings).request,
        });
        let door = Arc::new(Door {
            commands: Arc::new(commands),
            queries: queries.clone(),
            reference: reference.clone(),
            customers: vault,
            audit: Arc::new(PostgresAudit::new(pools.callers.members.clone())),
            webhooks: Arc::new(webhooks),
            authenticator,
            readiness: Arc::new(Ready { reader: pools.reader, projections: projections.clone(), redis: stores.redis }),
            rate_limiter: is_limited.then_some(stores.rate_limiter),
            metrics: Arc::new(rendering),
            clock,
            ids,
            limits: limits(settings),
            cors_origins: settings.server.cors_allowed_origins.clone(),
        });
        let address = settings.server.listen;
        let listen = |reason| StartError::Listen { address, reason };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let server = http::serve(door, listener, admin::configure(admin.clone())).map_err(listen)?;
        let handle = server.handle();
        actix::spawn(server);
        let stop_limit = limits(settings).shutdown;
        Ok(App {
            address,
            embedded: None,
            server: handle,
            runtime,
            projections,
            snapshots,
            queries,
            reference,
            admin,
            sealer,
            outbox,
            stop_limit,
        })
    }

    /// The body of a booking that can be made now, for people who try the server for the first time.
    pub async fn example_booking(&self, tenant_id: TenantId) -> Option<serde_json::Value> {
        const WEEK_MS: i64 = 7 * DAY_MS;
        let reference = self.reference.tenant(tenant_id)?;
        let offered = reference.services.values().filter(|service| service.active);
        let service = offered.min_by_key(|service| service.duration_minutes)?;
        let now = SystemClock.now();
        let caller = Caller { user_id: UserId(tenant_id.0), role: Role::Service };
        let query = AvailabilityQuery {
            service_id: service.id,
            staff_id: None,
            range: Slot::new(now, now.plus_millis(WEEK_MS))?,
            granularity_minutes: 15,
        };
        while self.projections.all().iter().any(|projection| !projection.status().live) {
            tokio::time::sleep(LOOK).await;
        }
        let offers = self.queries.availability(Scope { tenant_id, caller }, query).await.ok()?;
        let offer = offers.first()?;
        Some(serde_json::json!({
            "serviceId": service.id, "staffId": offer.staff_id,
            "slotStart": offer.slot.start, "slotEnd": offer.slot.end, "price": service.price,
            "customer": {
                "id": SystemIds.uuid(), "email": "anna@example.ch", "firstName": "Anna", "lastName": "Muster"
            }
        }))
    }

    /// Somebody who leads the salon, if there is anybody.
    pub fn owner_of(&self, tenant_id: TenantId) -> Option<UserId> {
        let reference = self.reference.tenant(tenant_id)?;
        let owners = reference.members.iter().filter(|(_, member)| member.role == MemberRole::Owner);
        owners.map(|(user_id, _)| *user_id).min()
    }

    /// Refuses new work, finishes what runs, snapshots aggregates, saves projections, and stops the embedded database.
    ///
    /// What runs has half of the limit at most, so that there is time to save.
    pub async fn stop(self) {
        let deadline = Instant::now() + self.stop_limit;
        self.admin.close();
        // What it leaves, the next start seals.
        self.sealer.abort();
        let finishing = tokio::time::timeout(self.stop_limit / 2, self.server.stop(true));
        let sending = tokio::time::timeout(self.stop_limit / 2, self.outbox.stop());
        let (finished, sent) = tokio::join!(finishing, sending);
        if finished.is_err() {
            tracing::warn!("some requests were still running when the server stopped");
        }
        if sent.is_err() {
            tracing::warn!("the outbox was still sending when the server stopped; what it was at is sent again");
        }
        let leaving = tokio::time::timeout_at(deadline.into(), passivated(&self.runtime));
        let saving = tokio::time::timeout_at(deadline.into(), self.projections.save_all());
        let (left, saved) = tokio::join!(leaving, saving);
        if left.is_err() || saved.is_err() {
            tracing::warn!("not everything was saved in time; the next start makes it again from events");
        }
        for error in saved.into_iter().flatten().filter_map(Result::err) {
            tracing::warn!(%error, "a projection was not saved; it catches up from its last checkpoint");
        }
        self.snapshots.flush(deadline.saturating_duration_since(Instant::now())).await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Aggregates with a command under way leave when that is done.
async fn passivated(runtime: &Runtime) {
    runtime.passivate_all();
    while runtime.active_actors() > 0 {
        tokio::time::sleep(LOOK).await;
        runtime.passivate_all();
    }
}

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
    let database = database.map_err(|error| StartError::Database(error.to_string()))?;
    Ok(database.with_statement_timeout(Duration::from_millis(settings.database.statement_timeout_ms)))
}

async fn prepare(database: &Database, settings: &Settings, with_demo: bool) -> Result<(), StartError> {
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

fn pools(database: &Database, settings: &Settings) -> Pools {
    let pool = |role, size| database.pool(role, size, POOL_WAIT);
    // Commands of MVP mode take a while where many want the same: as with actors, the request's own limit ends the wait.
    let callers = |role| database.pool(role, settings.database.pool_size, limits(settings).request);
    Pools {
        reader: pool(DatabaseRole::Reader, settings.database.pool_size),
        // One for the bus, one for each projection that catches up.
        feed: pool(DatabaseRole::Reader, 5),
        projector: pool(DatabaseRole::Projector, 2),
        vault: pool(DatabaseRole::Vault, 4),
        callers: CallerPools {
            members: callers(DatabaseRole::Authenticated),
            services: callers(DatabaseRole::Service),
            customers: callers(DatabaseRole::Customer),
        },
        outbox: pool(DatabaseRole::Outbox, 4),
    }
}

/// A number that is another whenever something of the tenant may have changed. Rows change without the feed hearing of it, so
/// where these are read it is another one each second.
fn changes(
    summaries: Published<AppointmentSummaries>,
    reference: Arc<dyn Reference>,
    clock: Arc<dyn Clock>,
) -> Box<dyn Fn(TenantId) -> u64 + Send + Sync> {
    Box::new(move |tenant_id| {
        let stage = reference.tenant(tenant_id).map(|reference| reference.stage).unwrap_or_default();
        if stage.reads_projections() {
            summaries.view().fold.change_of(tenant_id)
        } else {
            clock.now().as_millis().unsigned_abs() / 1_000
        }
    })
}

async fn stores(settings: &Settings) -> Result<Stores, StartError> {
    let limits = redis::Limits::per_minute(settings.rate_limit.requests_per_minute);
    let Some(url) = &settings.redis.url else { return Ok(Stores::local(limits)) };
    let shared = RedisSettings {
        url: url.expose().clone(),
        key_prefix: settings.redis.key_prefix.clone(),
        pool_size: settings.redis.pool_size,
        timeout: Duration::from_millis(settings.redis.timeout_ms),
        connect_timeout: Duration::from_millis(settings.redis.connect_timeout_ms),
        probe_pause: Duration::from_millis(settings.redis.probe_pause_ms),
    };
    let stores = Stores::shared(shared, limits, CopyKey::new(master_keys(settings)?.copies())).await;
    stores.map_err(|error| StartError::Settings(format!("redis.url: {error}")))
}

fn token_keys(settings: &Settings) -> Result<TokenKeys, StartError> {
    let secret = settings.auth.jwt_secret.as_ref().map(|secret| secret.expose().as_str());
    let jwks = settings.auth.jwks.as_ref().map(serde_json::to_string).transpose();
    let jwks = jwks.map_err(|error| StartError::Settings(error.to_string()))?;
    TokenKeys::new(secret, jwks.as_deref()).map_err(|error| StartError::Settings(error.to_string()))
}

pub fn master_keys(settings: &Settings) -> Result<MasterKeys, StartError> {
    let missing = || StartError::Settings("vault.master_key is missing".to_owned());
    let current = settings.vault.master_key.as_ref().ok_or_else(missing)?;
    let current = MasterKey::new(settings.vault.master_key_id.clone(), *current.expose());
    let previous =
        settings.vault.previous_master_keys.iter().map(|key| MasterKey::new(key.id.clone(), *key.key.expose()));
    MasterKeys::new(current, previous.collect()).map_err(|error| StartError::Settings(error.to_string()))
}

pub fn sealer_settings(settings: &Settings) -> Result<SealerSettings, StartError> {
    let audit = &settings.audit;
    let missing = || StartError::Settings("audit.seal_key is missing".to_owned());
    let current = audit.seal_key.as_ref().ok_or_else(missing)?;
    let current = SealKey::new(audit.seal_key_id.clone(), current.expose());
    let previous = audit.previous_seal_keys.iter().map(|key| SealKey::new(key.id.clone(), key.key.expose()));
    let keys = SealKeys::new(current, previous.collect());
    let anchor = if audit.newest_seal_file.as_os_str().is_empty() {
        settings.data.dir.join("audit-seal.json")
    } else {
        audit.newest_seal_file.clone()
    };
    Ok(SealerSettings {
        keys: keys.map_err(|error| StartError::Settings(error.to_string()))?,
        every: Duration::from_secs(audit.seal_every_seconds),
        anchor,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

fn or_cores(configured: usize) -> usize {
    if configured == 0 { cores() } else { configured }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        request: Duration::from_millis(settings.server.request_timeout_ms),
        shutdown: Duration::from_millis(settings.server.shutdown_timeout_ms),
        workers: or_cores(settings.server.workers),
        body_bytes: settings.server.body_limit_bytes,
    }
}

fn runtime_settings(settings: &Settings) -> RuntimeSettings {
    let actors = &settings.actors;
    RuntimeSettings {
        arbiters: or_cores(actors.arbiters),
        mailbox_capacity: actors.mailbox_capacity,
        passivate_after: Duration::from_secs(actors.passivate_after_seconds),
        active_max: actors.active_max,
        snapshot_every: u32::try_from(actors.snapshot_every).unwrap_or(u32::MAX),
        conflict_retries: actors.conflict_retries,
        restart_backoff_min: Duration::from_millis(actors.restart_backoff_ms_min),
        restart_backoff_max: Duration::from_millis(actors.restart_backoff_ms_max),
    }
}

fn journal_settings(settings: &Settings) -> JournalSettings {
    JournalSettings {
        lanes: settings.journal.lanes,
        queue_max: settings.journal.queue_max,
        batch_max: settings.journal.batch_max,
        reconnect_pause: Duration::from_millis(100),
    }
}

pub fn feed_settings(settings: &Settings) -> FeedSettings {
    FeedSettings {
        poll: Duration::from_millis(settings.feed.poll_ms),
        coalesce: Duration::from_millis(settings.feed.coalesce_ms),
        page_events: settings.feed.page_events,
        horizon_warn: Duration::from_secs(settings.feed.horizon_warn_seconds),
    }
}

fn projection_settings(settings: &Settings) -> ProjectionSettings {
    ProjectionSettings {
        save_every: Duration::from_secs(settings.projections.save_every_seconds),
        save_every_events: settings.projections.save_every_events,
    }
}

/// Ready is who can reach the database and has caught up with the events.
struct Ready {
    reader: ConnectionPool,
    projections: Projections,
    redis: Option<Arc<Redis>>,
}

impl Readiness for Ready {
    fn missing(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move {
            let mut missing = Vec::new();
            let reachable = match self.reader.get().await {
                Ok(client) => client.batch_execute("").await.is_ok(),
                Err(_) => false,
            };
            if !reachable {
                missing.push("database".to_owned());
            }
            // One that is frozen serves what was true once, and only a new start helps.
            let behind = self.projections.all().into_iter().filter(|p| !p.status().live || p.is_frozen());
            missing.extend(behind.map(|projection| format!("projection {}", projection.name())));
            missing
        })
    }

    fn degraded(&self) -> Vec<String> {
        let statuses = self.projections.all().into_iter().map(|projection| projection.status());
        let stopped = statuses.filter(|status| !status.stopped.is_empty());
        let stopped =
            stopped.map(|status| format!("projection {}: {} tenants stopped", status.name, status.stopped.len()));
        let away = self.redis.as_ref().filter(|redis| !redis.is_in_use());
        stopped.chain(away.map(|_| "redis".to_owned())).collect()
    }
}
