//! NOTIFY is a wake-up, never data: it takes a global lock at commit, so it goes out after the appends' commits, many of
//! them as one, on a connection of its own.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;

use crate::postgres::{Database, DatabaseRole};

const CHANNEL: &str = "codeccloud_events";

/// The pause before a lost connection is made anew. Meanwhile readers poll: it costs latency only.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

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
        database.io().spawn(listen(self.clone(), database.clone()));
    }
}

async fn notify_peers(waker: FeedWaker, database: Database, coalesce: Duration) {
    let mut client = None;
    loop {
        waker.peers.notified().await;
        tokio::time::sleep(coalesce).await;
        if client.as_ref().is_none_or(tokio_postgres::Client::is_closed) {
            client = database.connect(DatabaseRole::Reader).await.ok();
        }
        if let Some(client) = &client {
            // A lost wake-up costs a poll interval.
            let _ = client.batch_execute(&format!("NOTIFY {CHANNEL}")).await;
        }
    }
}

async fn listen(waker: FeedWaker, database: Database) {
    loop {
        match listen_once(&waker, &database).await {
            Ok(()) => tracing::warn!("the LISTEN connection ended; readers poll until it is back"),
            Err(error) => tracing::debug!(%error, "no LISTEN connection; readers poll"),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Returns when the connection ends.
async fn listen_once(waker: &FeedWaker, database: &Database) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = database.connect_raw().await?;
    let readers = Arc::clone(&waker.readers);
    let driving = tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match message {
                Ok(AsyncMessage::Notification(_)) => readers.notify_one(),
                Ok(_) => {}
                Err(_) => break,
            }
        }
    });
    client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
    tracing::debug!("listening for other nodes' commits");
    let _ = driving.await;
    Ok(())
}
