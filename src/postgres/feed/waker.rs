//! NOTIFY is a wake-up, never data: it takes a global lock at commit, so it goes out after the appends' commits, many of
//! them as one, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::postgres::Database;
use crate::postgres::listen::{listen, notify};

const CHANNEL: &str = "codeccloud_events";

#[derive(Clone, Default)]
pub struct FeedWaker {
    readers: Arc<Notify>,
    peers: Arc<Notify>,
}

impl FeedWaker {
    /// Tells this node's reader at once, and the other nodes soon.
    pub fn committed(&self) {
        self.readers.notify_one();
        self.peers.notify_one();
    }

    pub(super) async fn awoken(&self) {
        self.readers.notified().await;
    }

    /// Starts telling other nodes, and listening to them.
    pub fn start(&self, database: &Database, coalesce: Duration) {
        database.io().spawn(notify(database.clone(), CHANNEL, coalesce, Arc::clone(&self.peers)));
        database.io().spawn(listen(database.clone(), CHANNEL, Arc::clone(&self.readers)));
    }
}
