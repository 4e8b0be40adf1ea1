//! The composition root: settings → adapters → actors → server.

mod adapters;
mod parts;
mod prepare;
mod ready;

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codeccloud_actors::envelope::{Caller, Role};
use codeccloud_actors::ids::{NodeId, TenantId, UserId};
use codeccloud_actors::ports::{Clock, IdempotencyStore, Ids, StoreError, StreamStore};
use codeccloud_actors::projections::appointment_summaries::AppointmentSummaries;
use codeccloud_actors::reference::MemberRole;
use codeccloud_actors::runtime::{ProjectionPorts, Projections, Published, Runtime, RuntimePorts};
use codeccloud_actors::time::{DAY_MS, Slot};

pub use self::adapters::master_keys;
use self::adapters::{pools, stores, token_keys};
pub use self::parts::{feed_settings, sealer_settings};
use self::parts::{journal_settings, limits, projection_settings, runtime_settings};
pub use self::prepare::open;
use self::prepare::prepare;
use self::ready::Ready;
use crate::admin::{self, Admin, AdminPorts};
use crate::auth::TokenAuthenticator;
use crate::clock::{SystemClock, SystemIds};
use crate::commands::{CommandPorts, StagedCommands};
use crate::event_sourced::{Actors, EventSourcedQueries, QueryPorts, RememberingIdempotency, RememberingJournal};
use crate::http::{self, Door};
use crate::outbox::{self, OutboxHouse, OutboxStartError, OutboxWorker};
use crate::ports::{AvailabilityQuery, Queries, Reference, Scope};
use crate::postgres::audit::{PostgresAudit, Sealer};
use crate::postgres::embedded::{EmbeddedError, EmbeddedPostgres};
use crate::postgres::schema::SchemaError;
use crate::postgres::{
    FeedWaker, OutboxWaker, PostgresFeed, PostgresIdempotency, PostgresJournal, PostgresMonths, PostgresPastBookings,
    PostgresProjectionOperators, PostgresProjectionStore, PostgresReference, PostgresSnapshots, PostgresStreams,
    PostgresVault, PostgresWebhooks, TransactionalCommands, TransactionalPorts, TransactionalQueries,
    TransactionalQueryPorts, upkeep,
};
use crate::queries::StagedQueries;
use crate::settings::Settings;
use crate::telemetry::{self, Prometheus};
use crate::vault::Vault;

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
        let (readers, members) = (pools.reader.clone(), pools.callers.members.clone());
        let reference = PostgresReference::start(&database, pools.reference, readers, members, ids.clone()).await?;
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
            clock: clock.clone(),
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
            read_your_writes: Some(Duration::from_millis(settings.projections.read_your_writes_ms)),
        });
        let queries: Arc<dyn Queries> = Arc::new(StagedQueries {
            from_memory: Arc::new(event_sourced.without_waiting()),
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
        let outbox = outbox.await.map_err(|error| match error {
            OutboxStartError::Smtp(error) => StartError::Settings(error.to_string()),
            OutboxStartError::Store(error) => StartError::Store(error),
        })?;
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
            readiness: Arc::new(Ready {
                reader: pools.reader,
                reference: reference.clone(),
                projections: projections.clone(),
                redis: stores.redis,
            }),
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
