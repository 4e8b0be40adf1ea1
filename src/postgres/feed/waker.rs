//! NOTIFY is a wake-up, never data: it takes a global lock at commit, so it goes out after the appends' commits, many of
//! them as one, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::postgres::listen::listen;
use crate::postgres::{Database, DatabaseRole, PooledClient};

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
        database.io().spawn(notify_peers(self.clone(), database.clone(), coalesce));
        database.io().spawn(listen(database.clone(), CHANNEL, Arc::clone(&self.readers)));
    }
}

async fn notify_peers(waker: FeedWaker, database: Database, coalesce: Duration) {
    let mut client: Option<PooledClient> = None;
    loop {
        waker.peers.notified().await;
        tokio::time::sleep(coalesce).await;
        if client.as_ref().is_none_or(|client| client.is_closed()) {
            client = database.connect(DatabaseRole::Reader).await.ok();
        }
        if let Some(client) = &client {
            // A lost wake-up costs a poll interval.
            let _ = client.batch_execute(&format!("NOTIFY {CHANNEL}")).await;
        }
    }
}
