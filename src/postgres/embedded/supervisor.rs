//! Keeps PostgreSQL running until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use codeccloud_actors::metrics_catalogue::POSTGRES_RESTARTS;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

use super::cluster::Cluster;
use super::log;
use super::postmaster::Postmaster;
use super::process::clear_leftovers;

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A run at least this long counts as healthy: the next backoff begins anew.
const HEALTHY: Duration = Duration::from_secs(60);

/// What others see of the supervised process.
#[derive(Debug)]
pub(super) struct Health {
    /// 0 while there is none; no process has that number.
    pid: AtomicU32,
    restarts: AtomicU64,
}

impl Health {
    pub fn of(postmaster: &Postmaster) -> Health {
        Health { pid: AtomicU32::new(postmaster.pid().unwrap_or(0)), restarts: AtomicU64::new(0) }
    }

    pub fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }
}

/// Runs until `stop` is sent or dropped, and ends with PostgreSQL gone.
pub(super) async fn supervise(
    cluster: Cluster,
    mut postmaster: Postmaster,
    health: Arc<Health>,
    mut stop: oneshot::Receiver<()>,
) {
    let log = cluster.log_path();
    let mut backoff = BACKOFF_MIN;
    loop {
        let began = Instant::now();
        tokio::select! {
            _ = &mut stop => return postmaster.stop().await,
            never = log::keep_bounded(&log) => match never {},
            status = postmaster.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                warn!(pid = health.pid(), %status, "PostgreSQL has died; starting it again");
            }
        }
        health.pid.store(0, Ordering::Relaxed);
        if began.elapsed() >= HEALTHY {
            backoff = BACKOFF_MIN;
        }
        tokio::select! {
            _ = &mut stop => {
                if let Err(error) = clear_leftovers(&cluster.directory()).await {
                    error!(%error, "PostgreSQL was left running");
                }
                return;
            }
            restarted = restart(&cluster, &mut backoff) => postmaster = restarted,
        }
        health.pid.store(postmaster.pid().unwrap_or(0), Ordering::Relaxed);
        health.restarts.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(POSTGRES_RESTARTS.name).increment(1);
    }
}

async fn restart(cluster: &Cluster, backoff: &mut Duration) -> Postmaster {
    loop {
        sleep(*backoff).await;
        *backoff = (*backoff * 2).min(BACKOFF_MAX);
        match Postmaster::start(cluster).await {
            Ok(postmaster) => return postmaster,
            Err(error) => error!(%error, retry_ms = backoff.as_millis(), "can't start PostgreSQL again"),
        }
    }
}
