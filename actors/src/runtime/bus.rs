//! The one reader of the feed on this node: it hands each page to all projections, and is started again when it fails.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{join, join_all};

use super::projection_actor::Batch;
use super::projections::{PageOf, Projections};
use super::{Runtime, freshness};
use crate::ports::{Clock, Feed, FeedCursor};

/// A pause after the feed could not be read: the database is away, and reads go on from memory.
pub(super) const FEED_RETRY: Duration = Duration::from_millis(200);

const SHOW_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Bus {
    pub feed: Arc<dyn Feed>,
    pub projections: Projections,
    pub runtime: Runtime,
    /// Behind `ready`, which has been read and not yet been delivered to everybody.
    pub cursor: FeedCursor,
    pub ready: Option<PageOf>,
}

impl Bus {
    /// Never returns. After a panic it goes on with the very page that it was at: projections know by its cursor whether
    /// they have it, and from another cut of the same events they would not.
    pub async fn run(mut self) {
        loop {
            if AssertUnwindSafe(self.deliver()).catch_unwind().await.is_err() {
                tracing::error!("the bus panicked; it is started again");
                tokio::time::sleep(FEED_RETRY).await;
            }
        }
    }

    /// The next page is read while the projections fold this one.
    async fn deliver(&mut self) {
        loop {
            let ready = self.ready.as_ref();
            let delivering = async {
                if let Some(page) = ready {
                    self.runtime.observe(&page.0.events);
                    join_all(self.projections.all().map(|projection| projection.feed(page))).await;
                }
            };
            let reading = async {
                if ready.is_some_and(|page| page.0.caught_up) {
                    self.feed.wait().await;
                }
                let read_at = Instant::now();
                self.feed.read(&self.cursor).await.map(|page| (page, read_at))
            };
            let ((), page) = join(delivering, reading).await;
            self.ready = match page {
                Ok((page, read_at)) => {
                    self.cursor = page.cursor;
                    Some(PageOf(Batch::of(page, read_at)))
                }
                Err(error) => {
                    tracing::warn!(%error, "the feed can't be read; reads go on from memory");
                    tokio::time::sleep(FEED_RETRY).await;
                    None
                }
            };
        }
    }
}

/// Shows how far each projection is behind, for as long as the system runs.
pub(super) async fn show_freshness(projections: Projections, clock: Arc<dyn Clock>) {
    loop {
        for projection in projections.all() {
            freshness::show(projection.name(), projection.unapplied_age(clock.now()));
        }
        tokio::time::sleep(SHOW_EVERY).await;
    }
}
