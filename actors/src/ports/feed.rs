use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::envelope::RecordedEvent;
use crate::ids::Position;
use crate::time::Timestamp;

use super::StoreError;

/// Events of all tenants in a safe order: nothing is skipped, and each stream comes in version order.
pub trait Feed: Send + Sync + 'static {
    /// The next events after `cursor`. Reading from the same cursor again gives the same events, then newer ones.
    fn read<'a>(&'a self, cursor: &'a FeedCursor) -> BoxFuture<'a, Result<FeedPage, StoreError>>;

    /// Returns when there may be more: after a commit of this node, a notification, or the poll interval, which is short:
    /// from a longer silence one concludes that the reader is gone.
    fn wait(&self) -> BoxFuture<'_, ()>;
}

#[derive(Debug, Clone)]
pub struct FeedPage {
    pub events: Arc<[RecordedEvent]>,
    pub cursor: FeedCursor,
    /// Nothing more could be read at the time.
    pub caught_up: bool,
    /// When the oldest event was recorded that is committed, but beyond this page: in the next one, or held back by a
    /// transaction that is still open. An event that is held back may go unnoticed for a second.
    pub waiting_since: Option<Timestamp>,
}

/// Where an event stands for the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedPlace {
    /// The database cluster that committed it: a restored database counts transactions anew.
    pub cluster_id: i64,
    pub transaction_id: u64,
    pub position: Position,
}

/// How far a reader is. The feed advances in windows of transaction ids, each delivered whole and in the order of
/// positions; a large window is read in pages. The default is the very beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FeedCursor {
    pub cluster_id: i64,
    /// Transactions below are covered.
    pub low: u64,
    /// The window that is being read in pages.
    pub window: Option<OpenWindow>,
    /// No event still to come has this position or a lower one.
    pub floor: Position,
    /// No event still to come was recorded before this, in milliseconds since 1970.
    pub since_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWindow {
    /// The first transaction beyond the window.
    pub high: u64,
    /// Events of the window up to here are covered.
    pub after: Position,
    /// No event of the window still to come was recorded before this. It says nothing of later windows: a transaction
    /// that was open all the while may have recorded its events long ago.
    pub since_ms: i64,
}

impl FeedCursor {
    /// Whether the event was delivered before this cursor.
    pub fn covers(&self, place: FeedPlace) -> bool {
        if place.cluster_id != self.cluster_id {
            return place.position <= self.floor;
        }
        place.transaction_id < self.low
            || self.window.is_some_and(|window| place.transaction_id < window.high && place.position <= window.after)
    }

    /// Whether everything of the transaction, committed in this node's cluster, has been delivered.
    pub fn is_past(&self, transaction_id: u64) -> bool {
        transaction_id < self.low
    }
}
