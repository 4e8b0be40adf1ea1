use std::path::{Path, PathBuf};

use crate::postgres::database::described;

/// Why the private PostgreSQL can't be had, each with its remedy, for a person at a terminal.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "found no PostgreSQL server of version 15 or newer: install it (on Debian `apt-get install postgresql`), name \
         the folder of its binaries in CODECCLOUD_POSTGRES_BIN, or set DATABASE_URL to a running one"
    )]
    NotInstalled,
    #[error("{} holds no PostgreSQL server of version 15 or newer: correct CODECCLOUD_POSTGRES_BIN", .0.display())]
    NotAServer(PathBuf),
    #[error("the database in {} was made by PostgreSQL {needed}: install that version's server", cluster.display())]
    OtherVersion { cluster: PathBuf, needed: u32 },
    #[error("PostgreSQL refuses to run as root, and this system has neither a user `postgres` nor `nobody`")]
    NoUnprivilegedUser,
    #[error(
        "the user that PostgreSQL runs as (uid {uid}) can't enter {}: choose another --data-dir, or allow it with \
         `chmod o+x`", directory.display()
    )]
    NotTraversable { directory: PathBuf, uid: u32 },
    #[error(
        "{} belongs to uid {found} instead of {expected}: run as that user or root, or choose another --data-dir",
        directory.display()
    )]
    ForeignDirectory { directory: PathBuf, found: u32, expected: u32 },
    #[error("{} is in use by another server (pid {pid}): stop it or choose another --data-dir", data_dir.display())]
    InUse { data_dir: PathBuf, pid: String },
    #[error("initdb failed: {0}")]
    Initdb(String),
    #[error("PostgreSQL did not start ({reason}); the end of {}:\n{tail}", log.display())]
    NotStarted { reason: String, log: PathBuf, tail: String },
    #[error("PostgreSQL process {0} of an earlier run doesn't end")]
    Undying(i32),
    #[error("can't prepare the database: {}", described(.0))]
    Sql(#[from] tokio_postgres::Error),
    #[error("can't {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
}

/// For `map_err`: says what was tried on which path.
pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> EmbeddedError {
    move |source| EmbeddedError::Io { action, path: path.to_owned(), source }
}
