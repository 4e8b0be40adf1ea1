//! All projections of this node: loaded with their checkpoints, brought up to date, and fed by one bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter};
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{Mutex, oneshot};

use crate::ports::{Clock, Feed, FeedCursor, ProjectionOperators, ProjectionStatus, ProjectionStore, StoreError};
use crate::projections::appointment_summaries::AppointmentSummaries;
use crate::projections::availability::Availability;
use crate::projections::inventory::Inventory;
use crate::projections::loyalty_balances::LoyaltyBalances;
use crate::projections::revenue::Revenue;
use crate::projections::staff_utilisation::StaffUtilisationDays;
use crate::projections::{Fold, Projection};
use crate::time::Timestamp;
use crate::trace::ContinueTrace;

use super::bus::{self, Bus, FEED_RETRY};
use super::freshness::Freshness;
use super::projection_actor::{Adopt, Batch, Follow, ProjectionActor, ProjectionSettings, Retain, Save, Saved};
use super::published::{Published, View, published};
use super::{Runtime, orders};

#[derive(Clone)]
pub struct Projections {
    pub availability: ProjectionHandle<Availability>,
    pub appointment_summaries: ProjectionHandle<AppointmentSummaries>,
    pub staff_utilisation: ProjectionHandle<StaffUtilisationDays>,
    pub loyalty_balances: ProjectionHandle<LoyaltyBalances>,
    pub inventory: ProjectionHandle<Inventory>,
    pub revenue: ProjectionHandle<Revenue>,
}

pub struct ProjectionPorts {
    pub feed: Arc<dyn Feed>,
    pub store: Arc<dyn ProjectionStore>,
    pub clock: Arc<dyn Clock>,
    pub continue_trace: ContinueTrace,
}

/// What is done with all projections alike.
pub trait AnyProjection: Send + Sync {
    fn name(&self) -> &'static str;
    /// Age of the oldest event that is not applied; zero when all are.
    fn unapplied_age(&self, now: Timestamp) -> Duration;
    /// Whether reads stand still, since nothing has come from the feed for long, not even that there is nothing new.
    fn is_frozen(&self) -> bool;
    fn status(&self) -> ProjectionStatus;
    /// Saves model and checkpoint now.
    fn save(&self) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Folds everything anew beside the live one, swaps when it has caught up, and saves the result.
    fn rebuild(&self) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Rebuilds a live one whose generation is behind what operators have ordered.
    fn obey(&self) -> BoxFuture<'_, Result<(), StoreError>>;
    #[doc(hidden)]
    fn feed(&self, batch: &PageOf) -> BoxFuture<'_, ()>;
}

/// Opaque outside the runtime.
#[doc(hidden)]
pub struct PageOf(pub(super) Batch);

impl Projections {
    /// Loads the saved ones and starts their actors, then the bus. Call it within an actix system. Each becomes live when
    /// it has caught up.
    pub async fn start(
        ports: ProjectionPorts,
        settings: &ProjectionSettings,
        runtime: Runtime,
    ) -> Result<Projections, StoreError> {
        let arbiter = Arbiter::new();
        let projections = Projections {
            availability: ProjectionHandle::start(&ports, settings, &arbiter).await?,
            appointment_summaries: ProjectionHandle::start(&ports, settings, &arbiter).await?,
            staff_utilisation: ProjectionHandle::start(&ports, settings, &arbiter).await?,
            loyalty_balances: ProjectionHandle::start(&ports, settings, &arbiter).await?,
            inventory: ProjectionHandle::start(&ports, settings, &arbiter).await?,
            revenue: ProjectionHandle::start(&ports, settings, &arbiter).await?,
        };
        // The bus begins at the newest checkpoint; who is behind it catches up by itself.
        let cursors: Vec<FeedCursor> = projections.each().map(|projection| projection.status().cursor).collect();
        let begin = cursors.into_iter().max_by_key(reach).unwrap_or_default();
        for projection in projections.each() {
            if projection.status().cursor != begin {
                projection.catch_up_in_background();
            } else {
                projection.follow().await;
            }
        }
        let bus = Bus { feed: ports.feed, projections: projections.clone(), runtime, cursor: begin, ready: None };
        actix::spawn(bus.run());
        actix::spawn(bus::show_freshness(projections.clone(), ports.clock));
        Ok(projections)
    }

    /// Does what operators order and answers what they ask, for as long as the system runs.
    pub fn follow_orders(&self, operators: Arc<dyn ProjectionOperators>) {
        // A rebuild keeps a core busy, so it has a thread of its own.
        Arbiter::new().spawn(orders::follow(self.clone(), operators));
    }

    pub fn all(&self) -> [&dyn AnyProjection; 6] {
        self.handles().map(|projection| projection as &dyn AnyProjection)
    }

    fn each(&self) -> impl Iterator<Item = &dyn CatchesUp> {
        self.handles().into_iter()
    }

    fn handles(&self) -> [&dyn CatchesUp; 6] {
        [
            &self.availability,
            &self.appointment_summaries,
            &self.staff_utilisation,
            &self.loyalty_balances,
            &self.inventory,
            &self.revenue,
        ]
    }

    /// Saves all; for a graceful stop.
    pub async fn save_all(&self) -> Vec<Result<(), StoreError>> {
        join_all(self.all().map(AnyProjection::save)).await
    }
}

/// How far a cursor is, within one history of a database and its restored descendants.
fn reach(cursor: &FeedCursor) -> (i64, u64, i64) {
    (cursor.floor.0, cursor.low, cursor.window.map_or(0, |window| window.after.0))
}

pub struct ProjectionHandle<P: Projection> {
    address: Addr<ProjectionActor<P>>,
    published: Published<P>,
    feed: Arc<dyn Feed>,
    store: Arc<dyn ProjectionStore>,
    beside: Arc<Beside>,
    freshness: Arc<Freshness>,
}

/// What is folded beside the live model: one fold at a time.
#[derive(Default)]
struct Beside {
    turn: Mutex<()>,
    is_rebuild: AtomicBool,
    events_applied: AtomicU64,
}

impl<P: Projection> ProjectionHandle<P> {
    pub fn published(&self) -> &Published<P> {
        &self.published
    }

    async fn start(
        ports: &ProjectionPorts,
        settings: &ProjectionSettings,
        arbiter: &Arbiter,
    ) -> Result<ProjectionHandle<P>, StoreError> {
        let saved = ports.store.load(P::NAME).await?.and_then(|saved| {
            let dropped = |reason: &String| {
                tracing::warn!(projection = P::NAME, %reason, "the saved projection is dropped and rebuilt from events");
            };
            Fold::decode(&saved).inspect_err(dropped).ok()
        });
        let fold = match saved {
            Some(fold) => fold,
            None => Fold::anew(ports.store.orders(P::NAME).await?),
        };
        let (publisher, published) = published(View { fold: fold.clone(), live: false });
        let freshness = Arc::<Freshness>::default();
        let actor = ProjectionActor {
            saved: Saved { at: Instant::now(), events_since: 0, under_way: false },
            fold,
            follows: false,
            live: false,
            publisher,
            freshness: Arc::clone(&freshness),
            store: Arc::clone(&ports.store),
            continue_trace: ports.continue_trace,
            settings: settings.clone(),
            retained: None,
            successor: None,
        };
        let address = ProjectionActor::start_in_arbiter(&arbiter.handle(), move |_| actor);
        let (feed, store) = (Arc::clone(&ports.feed), Arc::clone(&ports.store));
        Ok(ProjectionHandle { address, published, feed, store, beside: Arc::default(), freshness })
    }

    /// Folds from `fold`'s checkpoint to the feed's end, beside the live model, and swaps.
    async fn fold_and_adopt(&self, mut fold: Fold<P>) -> Result<(), StoreError> {
        let _turn = self.beside.turn.lock().await;
        self.read_to_end(&mut fold).await?;
        // What comes in from now on is kept, so that the last stretch below leaves no gap.
        self.address.send(Retain).await.map_err(gone)?;
        self.read_to_end(&mut fold).await?;
        let (swapped, swap) = oneshot::channel();
        self.address.send(Adopt { fold, swapped }).await.map_err(gone)?;
        swap.await.map_err(gone)
    }

    async fn read_to_end(&self, fold: &mut Fold<P>) -> Result<(), StoreError> {
        loop {
            let read_at = Instant::now();
            let page = self.feed.read(&fold.cursor).await?;
            for (tenant_id, at) in fold.apply(&page.events, page.cursor) {
                tracing::error!(
                    projection = P::NAME, %tenant_id, position = at.position.0, reason = %at.reason,
                    "an event can't be applied: the tenant is stopped in this projection"
                );
            }
            self.beside.events_applied.store(fold.events_applied, Ordering::Relaxed);
            if !self.published.view().live {
                self.freshness.applied(read_at, page.waiting_since);
            }
            if page.caught_up {
                return Ok(());
            }
        }
    }

    async fn fold_anew(&self) -> Result<(), StoreError> {
        let orders = self.store.orders(P::NAME).await?;
        tracing::info!(
            projection = P::NAME, generation = orders.generation, skipped = ?orders.skipped,
            "the projection is rebuilt beside the live one"
        );
        self.beside.events_applied.store(0, Ordering::Relaxed);
        self.beside.is_rebuild.store(true, Ordering::Relaxed);
        let rebuilt = async {
            self.fold_and_adopt(Fold::anew(orders)).await?;
            tracing::info!(projection = P::NAME, "the projection was rebuilt and swapped in");
            self.save().await
        };
        let rebuilt = rebuilt.await;
        self.beside.is_rebuild.store(false, Ordering::Relaxed);
        rebuilt
    }
}

fn gone(error: impl std::fmt::Display) -> StoreError {
    StoreError(error.to_string())
}

/// How a projection becomes live.
trait CatchesUp: AnyProjection {
    fn catch_up_in_background(&self);
    fn follow(&self) -> BoxFuture<'_, ()>;
}

impl<P: Projection> CatchesUp for ProjectionHandle<P> {
    fn catch_up_in_background(&self) {
        let handle = self.clone();
        let arbiter = Arbiter::new();
        let on = arbiter.handle();
        on.spawn(async move {
            let fold = handle.published.view().fold.clone();
            while let Err(error) = handle.fold_and_adopt(fold.clone()).await {
                tracing::warn!(projection = P::NAME, %error, "the projection can't catch up; it tries again");
                tokio::time::sleep(FEED_RETRY).await;
            }
            arbiter.stop();
        });
    }

    fn follow(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // The actor was started a moment ago and lives as long as this handle.
            let _ = self.address.send(Follow).await;
        })
    }
}

impl<P: Projection> AnyProjection for ProjectionHandle<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn unapplied_age(&self, now: Timestamp) -> Duration {
        self.freshness.unapplied_age(now, Instant::now())
    }

    fn is_frozen(&self) -> bool {
        self.freshness.is_frozen(Instant::now())
    }

    fn status(&self) -> ProjectionStatus {
        let view = self.published.view();
        let rebuilding = self.beside.is_rebuild.load(Ordering::Relaxed);
        ProjectionStatus {
            name: P::NAME.to_owned(),
            generation: view.fold.generation,
            cursor: view.fold.cursor,
            events_applied: view.fold.events_applied,
            live: view.live,
            rebuilding: rebuilding.then(|| self.beside.events_applied.load(Ordering::Relaxed)),
            stopped: view.fold.stopped.iter().map(|(tenant_id, at)| (*tenant_id, at.clone())).collect(),
        }
    }

    fn save(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.address.send(Save).await.unwrap_or_else(|error| Err(gone(error))) })
    }

    fn rebuild(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.fold_anew())
    }

    fn obey(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let ordered = self.store.orders(P::NAME).await?.generation;
            let view = self.published.view();
            if view.fold.generation < ordered && view.live {
                self.fold_anew().await?;
            }
            Ok(())
        })
    }

    fn feed(&self, page: &PageOf) -> BoxFuture<'_, ()> {
        let delivery = self.address.send(page.0.clone());
        Box::pin(async move {
            if let Err(error) = delivery.await {
                tracing::error!(projection = P::NAME, %error, "the projection's actor is gone");
            }
        })
    }
}

impl<P: Projection> Clone for ProjectionHandle<P> {
    fn clone(&self) -> Self {
        ProjectionHandle {
            address: self.address.clone(),
            published: self.published.clone(),
            feed: Arc::clone(&self.feed),
            store: Arc::clone(&self.store),
            beside: Arc::clone(&self.beside),
            freshness: Arc::clone(&self.freshness),
        }
    }
}
