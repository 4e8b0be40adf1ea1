//! The private PostgreSQL that the server brings along when no `DATABASE_URL` is set.
//!
//! ```text
//! DATA_DIR/server.lock      held by the one server that owns the directory
//! DATA_DIR/postgres.conf    written anew at each start; `ALTER SYSTEM` overrides it
//! DATA_DIR/postgres.log     what PostgreSQL has to say; when it grows long, it becomes postgres.log.1
//! DATA_DIR/postgres/        0700, of the operating system's user that PostgreSQL runs as
//!          postgres/cluster the database, complete from the moment it has this name
//!          postgres/socket  the only way in: there is no TCP port
//! ```
//!
//! PostgreSQL stops with the server. After a kill -9 of the server it runs on, and the next start on the same directory
//! stops it before it starts its own. A kill -9 of PostgreSQL is mended by the supervisor while the server runs on.

mod binaries;
mod cluster;
mod error;
mod log;
mod owner;
mod postmaster;
mod process;
mod supervisor;

use std::fs::{DirBuilder, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::Uid;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use cluster::{Cluster, Login};
pub use error::EmbeddedError;
use error::io;
use postmaster::Postmaster;
use supervisor::Health;

/// A running private PostgreSQL. It lives as long as this value and the tokio runtime that it was started on.
pub struct EmbeddedPostgres {
    url: String,
    superuser_url: String,
    health: Arc<Health>,
    stop: oneshot::Sender<()>,
    supervisor: JoinHandle<()>,
    /// Released last, so that the next server finds everything in order.
    _lock: File,
}

impl EmbeddedPostgres {
    /// Starts PostgreSQL on `data_dir`, making directory and database where they are missing, and returns once it
    /// answers; recovery after a crash included, which has 60 seconds.
    pub async fn start(data_dir: &Path) -> Result<Self, EmbeddedError> {
        Self::start_with(data_dir, &[]).await
    }

    /// Like [`start`](Self::start), with server parameters that override ours.
    pub async fn start_with(data_dir: &Path, parameters: &[(&str, &str)]) -> Result<Self, EmbeddedError> {
        let data_dir = make_data_dir(data_dir)?;
        let lock = lock(&data_dir)?;
        let cluster = Cluster::prepare(data_dir, parameters).await?;
        let postmaster = Postmaster::start(&cluster).await?;
        cluster.ensure_role_and_database().await?;

        let health = Arc::new(Health::of(&postmaster));
        let (stop, stopped) = oneshot::channel();
        Ok(EmbeddedPostgres {
            url: cluster.url(Login::Server),
            superuser_url: cluster.url(Login::Superuser),
            health: Arc::clone(&health),
            stop,
            supervisor: tokio::spawn(supervisor::supervise(cluster, postmaster, health, stopped)),
            _lock: lock,
        })
    }

    /// Where the server connects: role and database `codeccloud`, no superuser, bound by row security.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// For diagnosis and tests; the server itself never needs it.
    pub fn superuser_url(&self) -> String {
        self.superuser_url.clone()
    }

    /// The postmaster's process; `None` while it is being started again.
    pub fn pid(&self) -> Option<u32> {
        self.health.pid()
    }

    /// How often PostgreSQL has died and been started again.
    pub fn restarts(&self) -> u64 {
        self.health.restarts()
    }

    /// Stops PostgreSQL: open transactions are rolled back, everything is written. Returns when it is gone.
    pub async fn stop(self) {
        // Errors mean that the supervisor has gone with its runtime, and PostgreSQL with it.
        let _ = self.stop.send(());
        let _ = self.supervisor.await;
    }
}

/// The database of a data directory, for a command that may run beside the server or alone.
pub enum Access {
    /// A PostgreSQL that somebody else started, and will stop.
    Attached { url: String },
    /// Started for this command only.
    Owned(Box<EmbeddedPostgres>),
}

impl Access {
    /// Uses the PostgreSQL that runs on `data_dir`; starts one where none does.
    pub async fn open(data_dir: &Path) -> Result<Access, EmbeddedError> {
        match url_of(data_dir) {
            Some(url) => Ok(Access::Attached { url }),
            None => Ok(Access::Owned(Box::new(EmbeddedPostgres::start(data_dir).await?))),
        }
    }

    pub fn url(&self) -> String {
        match self {
            Access::Attached { url } => url.clone(),
            Access::Owned(postgres) => postgres.url(),
        }
    }

    pub async fn close(self) {
        match self {
            Access::Attached { .. } => {}
            Access::Owned(postgres) => postgres.stop().await,
        }
    }
}

/// The URL of the PostgreSQL that runs on `data_dir` and takes connections; `None` where none does.
pub fn url_of(data_dir: &Path) -> Option<String> {
    url_for(data_dir, Login::Server)
}

/// The same, for its superuser: dumps and restores have to see every row.
pub fn superuser_url_of(data_dir: &Path) -> Option<String> {
    url_for(data_dir, Login::SuperuserOfServer)
}

fn url_for(data_dir: &Path, login: Login) -> Option<String> {
    let cluster = cluster::directory(&data_dir.canonicalize().ok()?);
    let running = process::live_postmaster(&cluster).filter(|postmaster| postmaster.ready)?;
    Some(cluster::url(&running.socket_directory, login))
}

/// Run by root, the directory lets PostgreSQL's user pass to its own folder, and no one read what else is in it.
fn make_data_dir(data_dir: &Path) -> Result<PathBuf, EmbeddedError> {
    let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
    DirBuilder::new().recursive(true).mode(mode).create(data_dir).map_err(io("create", data_dir))?;
    data_dir.canonicalize().map_err(io("find", data_dir))
}

fn lock(data_dir: &Path) -> Result<File, EmbeddedError> {
    let path = data_dir.join("server.lock");
    let mut file =
        File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            return Err(EmbeddedError::InUse { data_dir: data_dir.to_owned(), pid: holder.trim().to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(io("lock", &path)(error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io("write", &path))?;
    Ok(file)
}
