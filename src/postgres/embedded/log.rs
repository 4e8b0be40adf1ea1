//! PostgreSQL's log: a file that a process holds open which may outlive us.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

/// With the one before, twice as much: enough for a week that goes well, and for an hour that doesn't.
const BYTES_MAX: u64 = 16 << 20;
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks after the log for as long as it is polled.
pub(super) async fn keep_bounded(log: &Path) -> Infallible {
    loop {
        sleep(LOOK_EVERY).await;
        let path = log.to_owned();
        match tokio::task::spawn_blocking(move || bound(&path)).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => warn!(log = %log.display(), %error, "PostgreSQL's log grows on"),
        }
    }
}

/// Makes a log that has grown long the one before, and begins anew. PostgreSQL appends to the file that it was given, so
/// that one stays and its text goes; a line that is written at this very moment may be lost.
pub(super) fn bound(log: &Path) -> io::Result<()> {
    match log.metadata() {
        Ok(metadata) if metadata.len() > BYTES_MAX => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    std::fs::copy(log, before(log))?;
    File::options().write(true).open(log)?.set_len(0)
}

fn before(log: &Path) -> PathBuf {
    log.with_extension("log.1")
}
