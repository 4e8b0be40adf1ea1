//! LISTEN, kept up, and NOTIFY, held together. A notification is a wake-up, never data, so whoever waits polls as well, and a lost connection costs
//! latency only.

use crate::postgres::PooledClient;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;

use super::{Database, DatabaseRole};

/// The pause before a lost connection is made anew.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Returns only where a pooler is all that there is.
pub(super) async fn listen(database: Database, channel: &'static str, wake: Arc<Notify>) {
    loop {
        match listen_once(&database, channel, &wake).await {
            // Whoever waits polls.
            Ok(Ended::NoSession) => return,
            Ok(Ended::Cut) => tracing::warn!(channel, "the LISTEN connection ended; readers poll until it is back"),
            Err(error) => tracing::debug!(%error, channel, "no LISTEN connection; readers poll"),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

enum Ended {
    Cut,
    NoSession,
}

async fn listen_once(database: &Database, channel: &str, wake: &Arc<Notify>) -> Result<Ended, tokio_postgres::Error> {
    let Some((client, mut connection)) = database.connect_listening().await? else { return Ok(Ended::NoSession) };
    let wake = Arc::clone(wake);
    let driving = tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match message {
                Ok(AsyncMessage::Notification(_)) => wake.notify_one(),
                Ok(_) => {}
                Err(_) => break,
            }
        }
    });
    client.batch_execute(&format!("LISTEN {channel}")).await?;
    tracing::debug!(channel, "listening");
    let _ = driving.await;
    Ok(Ended::Cut)
}

/// Tells the other nodes whenever somebody has notified `pending`, many times as once. Never returns.
pub(super) async fn notify(database: Database, channel: &'static str, coalesce: Duration, pending: Arc<Notify>) {
    let mut client = None;
    loop {
        pending.notified().await;
        tokio::time::sleep(coalesce).await;
        if client.as_ref().is_none_or(|client: &PooledClient| client.is_closed()) {
            client = database.connect(DatabaseRole::Reader).await.ok();
        }
        if let Some(client) = &client {
            // A lost wake-up costs a poll interval.
            let _ = client.batch_execute(&format!("NOTIFY {channel}")).await;
        }
    }
}
