//! PostgreSQL processes that somebody else started: found, recognised and ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::EmbeddedError;
use super::error::io;

/// How long each way to stop may take before the next, harsher one.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Fast: roll back and write everything. Immediate: recover at the next start.
pub(super) const FAST: Signal = Signal::SIGINT;
pub(super) const IMMEDIATE: Signal = Signal::SIGQUIT;

/// What `postmaster.pid` says of the postmaster that wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub pid: Pid,
    pub socket_directory: PathBuf,
    pub ready: bool,
}

/// The postmaster that runs on `cluster`, a canonical path. The number in its file is believed only if the process of
/// that number works on this directory: numbers are used again, soonest of all in containers.
pub(super) fn live_postmaster(cluster: &Path) -> Option<Running> {
    let text = std::fs::read_to_string(pid_file(cluster)).ok()?;
    parse_pid_file(&text).filter(|running| works_on(running.pid, cluster))
}

/// Ends whatever still works on `cluster` from an earlier run, and leaves nothing in the way of a new postmaster. The
/// caller holds the lock of the data directory, so none of it belongs to a running server.
pub(super) async fn clear_leftovers(cluster: &Path) -> Result<(), EmbeddedError> {
    if let Some(postmaster) = live_postmaster(cluster) {
        warn!(pid = postmaster.pid.as_raw(), "stopping the PostgreSQL of an earlier run");
        end(postmaster.pid, &[FAST, IMMEDIATE, Signal::SIGKILL], cluster).await?;
    }
    // Backends whose postmaster was killed go at their next wait, which may be long off; a new postmaster refuses to
    // share the directory with them.
    for orphan in processes_on(cluster) {
        end(orphan, &[IMMEDIATE, Signal::SIGKILL], cluster).await?;
    }
    remove_misleading_pid_file(cluster)
}

/// PostgreSQL takes any live process of its own user for the postmaster named in the file. Its other check, for orphans
/// by their shared memory, needs the file too; so it goes only where the number is in use and orphans are ruled out.
fn remove_misleading_pid_file(cluster: &Path) -> Result<(), EmbeddedError> {
    let path = pid_file(cluster);
    let named = std::fs::read_to_string(&path).ok().and_then(|text| parse_pid_file(&text));
    match named {
        Some(named) if has_proc() && kill(named.pid, None).is_ok() => {
            std::fs::remove_file(&path).map_err(io("remove", &path))
        }
        Some(_) | None => Ok(()),
    }
}

async fn end(pid: Pid, signals: &[Signal], cluster: &Path) -> Result<(), EmbeddedError> {
    for &signal in signals {
        if let Err(error) = kill(pid, signal)
            && error != Errno::ESRCH
        {
            warn!(pid = pid.as_raw(), %signal, %error, "can't signal PostgreSQL");
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !works_on(pid, cluster) {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    Err(EmbeddedError::Undying(pid.as_raw()))
}

/// Postmaster and backends alike work in the cluster's directory, as seen in `/proc`. On systems without it the pid
/// file's word has to do.
fn works_on(pid: Pid, cluster: &Path) -> bool {
    if !has_proc() {
        return kill(pid, None).is_ok();
    }
    let process = Path::new("/proc").join(pid.to_string());
    process.join("cwd").read_link().is_ok_and(|directory| directory == cluster)
        && std::fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim_end() == "postgres")
}

fn processes_on(cluster: &Path) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
        .filter(|pid| works_on(*pid, cluster))
        .collect()
}

fn has_proc() -> bool {
    Path::new("/proc/self/cwd").exists()
}

fn pid_file(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

/// Lines: pid, data directory, start time, port, socket directory, TCP address, shared memory key, status. A starting
/// postmaster writes them one after the other.
fn parse_pid_file(text: &str) -> Option<Running> {
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok().filter(|pid| *pid > 0)?;
    let socket_directory = lines.nth(3).unwrap_or_default().into();
    let ready = lines.nth(2).is_some_and(|status| status.trim() == "ready");
    Some(Running { pid: Pid::from_raw(pid), socket_directory, ready })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_pid_file_of_a_postmaster_at_any_stage() {
        let whole = "417\n/d/postgres/cluster\n1700000000\n5432\n/d/postgres/socket\n\n  1234567  32768\nready   \n";
        let running = |ready| Running { pid: Pid::from_raw(417), socket_directory: "/d/postgres/socket".into(), ready };
        assert_eq!(parse_pid_file(whole), Some(running(true)));
        assert_eq!(parse_pid_file(&whole.replace("ready   ", "starting")), Some(running(false)));
        assert_eq!(parse_pid_file(&whole[..whole.find("ready").unwrap()]), Some(running(false)));
        assert_eq!(parse_pid_file(""), None);
        // As a target of a signal, 0 and below mean whole groups of processes.
        assert_eq!(parse_pid_file("-1\n"), None);
    }

    #[test]
    fn a_process_that_merely_sits_in_the_directory_is_no_postgres() {
        let here = std::env::current_dir().unwrap();
        assert!(!works_on(Pid::this(), &here));
        assert_eq!(processes_on(&here), []);
    }
}
