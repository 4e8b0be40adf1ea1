//! All projections of this node: loaded with their checkpoints, brought up to date, and fed by one bus.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter};
use futures_util::future::{BoxFuture, join_all};

use crate::ids::TenantId;
use crate::ports::{Clock, Feed, FeedCursor, ProjectionStore, StoreError};
use crate::projections::appointment_summaries::AppointmentSummaries;
use crate::projections::availability::Availability;
use crate::projections::loyalty_balances::LoyaltyBalances;
use crate::projections::staff_utilisation::StaffUtilisationDays;
use crate::projections::{Fold, Projection, Stopped};
use crate::trace::ContinueTrace;

use super::Runtime;
use super::projection_actor::{Adopt, Batch, Follow, ProjectionActor, ProjectionSettings, Retain, Save, Saved};
use super::published::{Published, View, published};

/// A pause after the feed could not be read: the database is away, and reads go on from memory.
const FEED_RETRY: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub struct Projections {
    pub availability: ProjectionHandle<Availability>,
    pub appointment_summaries: ProjectionHandle<AppointmentSummaries>,
    pub staff_utilisation: ProjectionHandle<StaffUtilisationDays>,
    pub loyalty_balances: ProjectionHandle<LoyaltyBalances>,
}

pub struct ProjectionPorts {
    pub feed: Arc<dyn Feed>,
    pub store: Arc<dyn ProjectionStore>,
    pub clock: Arc<dyn Clock>,
    pub continue_trace: ContinueTrace,
}

/// A projection as operators see it.
#[derive(Debug, Clone)]
pub struct ProjectionStatus {
    pub name: &'static str,
    pub cursor: FeedCursor,
    pub events_applied: u64,
    pub live: bool,
    pub stopped: Vec<(TenantId, Stopped)>,
}

/// What is done with all projections alike.
pub trait AnyProjection: Send + Sync {
    fn status(&self) -> ProjectionStatus;
    /// Saves model and checkpoint now.
    fn save(&self) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Folds everything anew beside the live one, and swaps when it has caught up.
    fn rebuild(&self) -> BoxFuture<'_, Result<(), StoreError>>;
    #[doc(hidden)]
    fn feed(&self, batch: &PageOf) -> BoxFuture<'_, ()>;
}

/// Opaque outside the runtime.
#[doc(hidden)]
pub struct PageOf(Batch);

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
        actix::spawn(run_bus(ports.feed, projections.clone(), runtime, begin));
        Ok(projections)
    }

    pub fn all(&self) -> [&dyn AnyProjection; 4] {
        [&self.availability, &self.appointment_summaries, &self.staff_utilisation, &self.loyalty_balances]
    }

    fn each(&self) -> impl Iterator<Item = &dyn CatchesUp> {
        let all: [&dyn CatchesUp; 4] =
            [&self.availability, &self.appointment_summaries, &self.staff_utilisation, &self.loyalty_balances];
        all.into_iter()
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

/// Reads the feed once and hands each page to all projections; the next page is read while they fold this one.
async fn run_bus(feed: Arc<dyn Feed>, projections: Projections, runtime: Runtime, mut cursor: FeedCursor) {
    let mut ready: Option<PageOf> = None;
    loop {
        let delivering = async {
            if let Some(page) = &ready {
                runtime.observe(&page.0.events);
                join_all(projections.all().map(|projection| projection.feed(page))).await;
            }
        };
        let caught_up = ready.as_ref().is_some_and(|page| page.0.caught_up);
        let reading = async {
            if caught_up {
                feed.wait().await;
            }
            feed.read(&cursor).await
        };
        let ((), page) = futures_util::future::join(delivering, reading).await;
        ready = match page {
            Ok(page) => {
                cursor = page.cursor;
                Some(PageOf(Batch { events: page.events, cursor: page.cursor, caught_up: page.caught_up }))
            }
            Err(error) => {
                tracing::warn!(%error, "the feed can't be read; reads go on from memory");
                tokio::time::sleep(FEED_RETRY).await;
                None
            }
        };
    }
}

pub struct ProjectionHandle<P: Projection> {
    address: Addr<ProjectionActor<P>>,
    published: Published<P>,
    feed: Arc<dyn Feed>,
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
        let fold = match ports.store.load(P::NAME).await? {
            Some(saved) => Fold::decode(&saved).unwrap_or_else(|reason| {
                tracing::warn!(projection = P::NAME, %reason, "the saved projection is dropped and rebuilt from events");
                Fold::default()
            }),
            None => Fold::default(),
        };
        let (publisher, published) = published(View { fold: fold.clone(), live: false });
        let actor = ProjectionActor {
            saved: Saved { at: Instant::now(), events_applied: fold.events_applied, under_way: false },
            fold,
            follows: false,
            live: false,
            publisher,
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            continue_trace: ports.continue_trace,
            settings: settings.clone(),
            retained: None,
        };
        let address = ProjectionActor::start_in_arbiter(&arbiter.handle(), move |_| actor);
        Ok(ProjectionHandle { address, published, feed: Arc::clone(&ports.feed) })
    }

    /// Folds from `fold`'s checkpoint to the feed's end, beside the live model, and swaps.
    async fn fold_and_adopt(&self, mut fold: Fold<P>) -> Result<(), StoreError> {
        read_to_end(&self.feed, &mut fold).await?;
        // What comes in from now on is kept, so that the last stretch below leaves no gap.
        self.address.send(Retain).await.map_err(|error| StoreError(error.to_string()))?;
        read_to_end(&self.feed, &mut fold).await?;
        self.address.send(Adopt(fold)).await.map_err(|error| StoreError(error.to_string()))
    }
}

async fn read_to_end<P: Projection>(feed: &Arc<dyn Feed>, fold: &mut Fold<P>) -> Result<(), StoreError> {
    loop {
        let page = feed.read(&fold.cursor).await?;
        for (tenant_id, at) in fold.apply(&page.events, page.cursor) {
            tracing::error!(
                projection = P::NAME, %tenant_id, position = at.position.0, reason = %at.reason,
                "an event can't be applied: the tenant is stopped in this projection"
            );
        }
        if page.caught_up {
            return Ok(());
        }
    }
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
    fn status(&self) -> ProjectionStatus {
        let view = self.published.view();
        ProjectionStatus {
            name: P::NAME,
            cursor: view.fold.cursor,
            events_applied: view.fold.events_applied,
            live: view.live,
            stopped: view.fold.stopped.iter().map(|(tenant_id, at)| (*tenant_id, at.clone())).collect(),
        }
    }

    fn save(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(
            async move { self.address.send(Save).await.unwrap_or_else(|error| Err(StoreError(error.to_string()))) },
        )
    }

    fn rebuild(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.fold_and_adopt(Fold::default()))
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
        }
    }
}
