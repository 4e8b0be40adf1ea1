//! What wakes the outbox. A NOTIFY by trigger would take its global lock in the commit of every booking (it costs two
//! thirds of the commits that there could be). So whoever commits entries says so afterwards: this process at once, the
//! other nodes by one coalesced notification. Entries that other software writes are found by the poll.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::postgres::Database;
use crate::postgres::listen::{listen, notify};

pub(super) const CHANNEL: &str = "codeccloud_outbox";

#[derive(Clone, Default)]
pub struct OutboxWaker {
    worker: Arc<Notify>,
    peers: Arc<Notify>,
}

impl OutboxWaker {
    /// To be called after the commit of what the outbox may have to tell. It costs nothing to speak of.
    pub fn committed(&self) {
        self.worker.notify_one();
        self.peers.notify_one();
    }

    pub fn worker(&self) -> Arc<Notify> {
        self.worker.clone()
    }

    /// Starts telling other nodes, and listening to them.
    pub fn start(&self, database: &Database, coalesce: Duration) {
        database.io().spawn(notify(database.clone(), CHANNEL, coalesce, self.peers.clone()));
        database.io().spawn(listen(database.clone(), CHANNEL, self.worker.clone()));
    }
}
