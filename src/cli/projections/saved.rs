use std::time::{Duration, Instant};

use codeccloud_actors::ports::{Feed, ProjectionStatus, ProjectionStore};
use codeccloud_actors::projections::appointment_summaries::AppointmentSummaries;
use codeccloud_actors::projections::availability::Availability;
use codeccloud_actors::projections::inventory::Inventory;
use codeccloud_actors::projections::loyalty_balances::LoyaltyBalances;
use codeccloud_actors::projections::revenue::Revenue;
use codeccloud_actors::projections::staff_utilisation::StaffUtilisationDays;
use codeccloud_actors::projections::{Fold, Projection};

use super::{Failure, Ordered};
use crate::app;
use crate::postgres::{Database, DatabaseRole, FeedWaker, PostgresFeed, PostgresProjectionStore};
use crate::settings::Settings;

/// The saved projections of a database.
pub(super) struct SavedProjections {
    feed: PostgresFeed,
    store: PostgresProjectionStore,
}

#[derive(Clone, Copy)]
enum Mode<'a> {
    Show,
    CatchUp,
    /// Those that are listed.
    Rebuild(&'a [Ordered]),
}

impl SavedProjections {
    pub fn of(database: &Database, settings: &Settings) -> SavedProjections {
        let pool = database.pool(DatabaseRole::Projector, 2, Duration::from_secs(5));
        SavedProjections {
            feed: PostgresFeed::new(pool.clone(), FeedWaker::default(), app::feed_settings(settings)),
            store: PostgresProjectionStore::new(pool),
        }
    }

    pub async fn status(&self) -> Result<Vec<ProjectionStatus>, Failure> {
        self.each(Mode::Show).await
    }

    pub async fn catch_up(&self) -> Result<Vec<ProjectionStatus>, Failure> {
        self.each(Mode::CatchUp).await
    }

    pub async fn rebuild(&self, ordered: &[Ordered]) -> Result<Vec<ProjectionStatus>, Failure> {
        self.each(Mode::Rebuild(ordered)).await
    }

    async fn each(&self, mode: Mode<'_>) -> Result<Vec<ProjectionStatus>, Failure> {
        Ok(vec![
            self.one::<Availability>(mode).await?,
            self.one::<AppointmentSummaries>(mode).await?,
            self.one::<StaffUtilisationDays>(mode).await?,
            self.one::<LoyaltyBalances>(mode).await?,
            self.one::<Inventory>(mode).await?,
            self.one::<Revenue>(mode).await?,
        ])
    }

    async fn one<P: Projection>(&self, mode: Mode<'_>) -> Result<ProjectionStatus, Failure> {
        let is_anew = matches!(mode, Mode::Rebuild(ordered) if ordered.iter().any(|(name, _)| *name == P::NAME));
        let saved = if is_anew { None } else { self.store.load(P::NAME).await? };
        // One of an older build's format is folded anew, as a server would.
        let mut fold: Fold<P> = match saved.as_ref().and_then(|saved| Fold::decode(saved).ok()) {
            Some(fold) => fold,
            None => Fold::anew(self.store.orders(P::NAME).await?),
        };
        if is_anew || matches!(mode, Mode::CatchUp) {
            self.catch_up_one(&mut fold).await?;
        }
        Ok(ProjectionStatus {
            name: P::NAME.to_owned(),
            generation: fold.generation,
            cursor: fold.cursor,
            events_applied: fold.events_applied,
            live: false,
            rebuilding: None,
            stopped: fold.stopped.into_iter().collect(),
        })
    }

    async fn catch_up_one<P: Projection>(&self, fold: &mut Fold<P>) -> Result<(), Failure> {
        let mut told = Instant::now();
        loop {
            let page = self.feed.read(&fold.cursor).await?;
            fold.apply(&page.events, page.cursor);
            if page.caught_up {
                break;
            }
            if told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                eprintln!("{}: {} events", P::NAME, fold.events_applied);
            }
        }
        Ok(self.store.save(P::NAME, fold.encode()).await?)
    }
}
