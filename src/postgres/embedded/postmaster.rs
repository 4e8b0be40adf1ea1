//! One run of PostgreSQL: our own child process.

use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::NoTls;
use tracing::{info, warn};

use super::EmbeddedError;
use super::cluster::{Cluster, Login};
use super::error::io;
use super::process::{FAST, IMMEDIATE, PATIENCE, clear_leftovers};
use crate::postgres::database::described;

/// Recovery after a crash replays at most `max_wal_size` of log; this is ample for it.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// Dropped while it runs, it is told to stop, and nobody waits for it.
pub(super) struct Postmaster {
    child: Child,
    log_start: u64,
}

impl Postmaster {
    /// Ends what an earlier run has left, starts PostgreSQL, and returns once it takes connections.
    pub async fn start(cluster: &Cluster) -> Result<Postmaster, EmbeddedError> {
        let began = Instant::now();
        clear_leftovers(&cluster.directory()).await?;
        cluster.write_configuration()?;
        let (log, log_start) = cluster.open_log()?;
        let program = cluster.bin.join("postgres");
        let mut command = cluster.owner.command(&program);
        command.arg("-D").arg(cluster.directory());
        command.arg("-c").arg(format!("config_file={}", cluster.configuration().display()));
        command.stdout(log.try_clone().map_err(io("share the log with", &program))?).stderr(log);
        // Ctrl-C reaches every process of a terminal's foreground group; PostgreSQL must outlast our last transactions.
        command.process_group(0);

        let child = command.spawn().map_err(io("run", &program))?;
        let mut postmaster = Postmaster { child, log_start };
        postmaster.wait_until_ready(cluster).await?;
        info!(pid = postmaster.pid(), ms = began.elapsed().as_millis(), "PostgreSQL is running");
        Ok(postmaster)
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end, wanted or not.
    pub async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Stops it in order, and with force where that takes too long; returns when it is gone.
    pub async fn stop(mut self) {
        for signal in [FAST, IMMEDIATE, Signal::SIGKILL] {
            self.signal(signal);
            if timeout(PATIENCE, self.child.wait()).await.is_ok() {
                info!(%signal, "PostgreSQL has stopped");
                return;
            }
        }
        warn!(pid = self.pid(), "PostgreSQL doesn't end");
    }

    async fn wait_until_ready(&mut self, cluster: &Cluster) -> Result<(), EmbeddedError> {
        let deadline = Instant::now() + START_DEADLINE;
        let url = cluster.url(Login::Superuser);
        loop {
            let refusal = match timeout(PATIENCE, tokio_postgres::connect(&url, NoTls)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => described(&error),
                Err(_) => "no answer".to_owned(),
            };
            if Instant::now() > deadline {
                let reason = format!("not ready after {} s: {refusal}", START_DEADLINE.as_secs());
                return Err(cluster.not_started(reason, self.log_start));
            }
            tokio::select! {
                status = self.child.wait() => {
                    let reason = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    return Err(cluster.not_started(reason, self.log_start));
                }
                () = sleep(Duration::from_millis(25)) => {}
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid().and_then(|pid| pid.try_into().ok()) else { return };
        if let Err(error) = kill(Pid::from_raw(pid), signal) {
            warn!(pid, %signal, %error, "can't signal PostgreSQL");
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.signal(FAST);
    }
}
