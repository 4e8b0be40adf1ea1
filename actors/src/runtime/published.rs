//! How a projection's actor shows its model: readers take the newest finished one without a lock and without asking.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::ports::FeedCursor;
use crate::projections::Fold;

/// A model as of one point of the feed.
#[derive(Debug, Clone)]
pub struct View<P> {
    pub fold: Fold<P>,
    /// Caught up once since the start; before that, it is history.
    pub live: bool,
}

/// A reader's handle. Clones are cheap.
pub struct Published<P> {
    view: Arc<ArcSwap<View<P>>>,
    progress: watch::Receiver<FeedCursor>,
}

/// The owner's end.
pub(super) struct Publisher<P> {
    view: Arc<ArcSwap<View<P>>>,
    progress: watch::Sender<FeedCursor>,
}

pub(super) fn published<P>(view: View<P>) -> (Publisher<P>, Published<P>) {
    let (sender, receiver) = watch::channel(view.fold.cursor);
    let view = Arc::new(ArcSwap::from_pointee(view));
    (Publisher { view: Arc::clone(&view), progress: sender }, Published { view, progress: receiver })
}

impl<P> Publisher<P> {
    pub fn publish(&self, view: View<P>) {
        let cursor = view.fold.cursor;
        self.view.store(Arc::new(view));
        self.progress.send_replace(cursor);
    }
}

impl<P> Published<P> {
    pub fn view(&self) -> Arc<View<P>> {
        self.view.load_full()
    }

    /// Waits until the events of `transaction_id` are in the model; `false` when the deadline came first.
    pub async fn wait_past(&self, transaction_id: u64, deadline: Instant) -> bool {
        if self.progress.borrow().is_past(transaction_id) {
            return true;
        }
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|cursor| cursor.is_past(transaction_id));
        matches!(tokio::time::timeout_at(deadline.into(), reached).await, Ok(Ok(_)))
    }

    /// Changes with every window of the feed.
    pub fn progress(&self) -> watch::Receiver<FeedCursor> {
        self.progress.clone()
    }
}

impl<P> Clone for Published<P> {
    fn clone(&self) -> Self {
        Published { view: Arc::clone(&self.view), progress: self.progress.clone() }
    }
}
