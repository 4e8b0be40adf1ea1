//! What PostgreSQL needs before it can start: its directories, its database files and its configuration.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio_postgres::NoTls;
use tracing::{info, warn};

use super::error::io;
use super::owner::Owner;
use super::{EmbeddedError, binaries, log};

const PORT: u16 = 5432;
/// The operating system's bound is 107 bytes on Linux and 103 on macOS.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// Durable defaults, for a small machine that PostgreSQL shares with the server. Errors are logged without their
/// details, statements and parameters, since these hold personal data.
const PARAMETERS: [(&str, &str); 17] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "70"),
    ("shared_buffers", "128MB"),
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("wal_level", "replica"),
    ("max_wal_size", "1GB"),
    // A schema migration takes locks on each month's partition in one transaction.
    ("max_locks_per_transaction", "256"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_destination", "stderr"),
    ("log_line_prefix", "%m [%p] %q%u %a "),
    ("log_error_verbosity", "terse"),
    ("log_min_error_statement", "panic"),
    ("log_parameter_max_length", "0"),
];

/// Who connects.
#[derive(Debug, Clone, Copy)]
pub(super) enum Login {
    Server,
    Superuser,
    /// In the server's database, past all policies: for dumps and restores.
    SuperuserOfServer,
}

/// The database files of one data directory, and all that is needed to start PostgreSQL on them.
#[derive(Debug)]
pub(super) struct Cluster {
    data_dir: PathBuf,
    pub owner: Owner,
    pub bin: PathBuf,
    socket_directory: PathBuf,
    parameters: Vec<(String, String)>,
}

impl Cluster {
    /// Makes what is missing. The caller holds the lock of `data_dir`, a canonical path.
    pub async fn prepare(data_dir: PathBuf, parameters: &[(&str, &str)]) -> Result<Cluster, EmbeddedError> {
        let home = home(&data_dir);
        let bin = binaries::find(&directory(&data_dir))?;
        let owner = Owner::of(&home)?;
        owner.check_can_enter(&data_dir).await?;
        owner.make_private_directory(&home)?;

        let socket_directory = socket_directory(&data_dir);
        if let Some(parent) = socket_directory.parent() {
            owner.check_can_enter(parent).await?;
        }
        owner.make_private_directory(&socket_directory)?;

        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let cluster = Cluster { data_dir, owner, bin, socket_directory, parameters };
        remove_unfinished(&home)?;
        if !cluster.directory().exists() {
            cluster.initialise().await?;
        }
        Ok(cluster)
    }

    pub fn directory(&self) -> PathBuf {
        directory(&self.data_dir)
    }

    pub fn configuration(&self) -> PathBuf {
        self.data_dir.join("postgres.conf")
    }

    pub fn url(&self, login: Login) -> String {
        url(&self.socket_directory, login)
    }

    /// initdb works under another name, and the finished cluster gets its own in one step. So a start that was killed
    /// half-way leaves nothing that looks like a database, and an initdb that outlived it harms nobody.
    async fn initialise(&self) -> Result<(), EmbeddedError> {
        let home = home(&self.data_dir);
        let unfinished = home.join(format!("{UNFINISHED}{}", std::process::id()));
        info!(cluster = %self.directory().display(), "making the database");
        let mut initdb = self.owner.command(&self.bin.join("initdb"));
        initdb.args(["--username=codeccloud_bootstrap", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
        let output = initdb.arg("--pgdata").arg(&unfinished).output().await.map_err(io("run", &self.bin))?;
        if !output.status.success() {
            return Err(EmbeddedError::Initdb(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        std::fs::rename(&unfinished, self.directory()).map_err(io("rename", &unfinished))?;
        File::open(&home).and_then(|home| home.sync_all()).map_err(io("sync", &home))
    }

    pub fn write_configuration(&self) -> Result<(), EmbeddedError> {
        let socket_directory = format!("\"{}\"", self.socket_directory.display().to_string().replace('"', "\"\""));
        let fixed = PARAMETERS.into_iter().chain([("unix_socket_directories", socket_directory.as_str())]);
        let given = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let text: String = fixed
            .chain(given)
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\\', "\\\\").replace('\'', "''")))
            .collect();
        let path = self.configuration();
        std::fs::write(&path, format!("# Written anew at each start. To change a parameter, use ALTER SYSTEM.\n{text}"))
            .map_err(io("write", &path))
    }

    /// Opens the log for PostgreSQL to append to; also says where the lines of this run will begin.
    pub fn open_log(&self) -> Result<(File, u64), EmbeddedError> {
        let path = self.log_path();
        log::bound(&path).map_err(io("shorten", &path))?;
        let log = File::options().create(true).append(true).open(&path).map_err(io("open", &path))?;
        let start = log.metadata().map_err(io("inspect", &path))?.len();
        Ok((log, start))
    }

    /// The error of a start that failed, with the last lines that PostgreSQL logged from `log_start` on.
    pub fn not_started(&self, reason: String, log_start: u64) -> EmbeddedError {
        let mut text = Vec::new();
        let read = File::open(self.log_path())
            .and_then(|mut log| log.seek(SeekFrom::Start(log_start)).and_then(|_| log.read_to_end(&mut text)));
        let tail = match read {
            Ok(_) => last_lines(&String::from_utf8_lossy(&text), 10),
            Err(error) => format!("(unreadable: {error})"),
        };
        EmbeddedError::NotStarted { reason, log: self.log_path(), tail }
    }

    /// Makes the server's login role and its database, each if missing, so that an interruption is made good next time.
    pub async fn ensure_role_and_database(&self) -> Result<(), EmbeddedError> {
        let (client, connection) = tokio_postgres::connect(&self.url(Login::Superuser), NoTls).await?;
        let connection = tokio::spawn(connection);
        if client.query_opt("SELECT FROM pg_roles WHERE rolname = 'codeccloud'", &[]).await?.is_none() {
            client.batch_execute("CREATE ROLE codeccloud LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE").await?;
        }
        if client.query_opt("SELECT FROM pg_database WHERE datname = 'codeccloud'", &[]).await?.is_none() {
            client.batch_execute("CREATE DATABASE codeccloud OWNER codeccloud").await?;
        }
        drop(client);
        if let Ok(Err(error)) = connection.await {
            warn!(%error, "the connection that prepared the database did not end in order");
        }
        Ok(())
    }

    pub fn log_path(&self) -> PathBuf {
        self.data_dir.join("postgres.log")
    }
}

const UNFINISHED: &str = "unfinished-";

fn home(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres")
}

/// PostgreSQL's own data directory.
pub(super) fn directory(data_dir: &Path) -> PathBuf {
    home(data_dir).join("cluster")
}

/// A URL that libpq's clients understand as well. No password: who may enter the socket's directory may connect.
pub(super) fn url(socket_directory: &Path, login: Login) -> String {
    let host = percent_encoded(&socket_directory.display().to_string());
    match login {
        Login::Server => format!("postgresql://codeccloud@{host}:{PORT}/codeccloud"),
        Login::Superuser => format!("postgresql://codeccloud_bootstrap@{host}:{PORT}/postgres"),
        Login::SuperuserOfServer => format!("postgresql://codeccloud_bootstrap@{host}:{PORT}/codeccloud"),
    }
}

/// Beside the database; where that path would be too long for a socket, in the folder for temporary files.
fn socket_directory(data_dir: &Path) -> PathBuf {
    let beside = home(data_dir).join("socket");
    let socket_bytes = beside.as_os_str().len() + format!("/.s.PGSQL.{PORT}").len();
    if socket_bytes < SOCKET_PATH_BYTES_MAX {
        return beside;
    }
    let hash: String =
        Sha256::digest(data_dir.as_os_str().as_encoded_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    std::env::temp_dir().join(format!("codeccloud-{hash}"))
}

fn remove_unfinished(home: &Path) -> Result<(), EmbeddedError> {
    for entry in home.read_dir().map_err(io("list", home))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            warn!(path = %entry.path().display(), %error, "an initdb of an earlier run is still at work");
        }
    }
    Ok(())
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            reserved => format!("%{reserved:02X}"),
        })
        .collect()
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_the_socket_directory_whatever_its_characters() {
        let url = url(Path::new("/tmp/a b%/ü"), Login::Server);
        assert_eq!(url, "postgresql://codeccloud@%2Ftmp%2Fa%20b%25%2F%C3%BC:5432/codeccloud");
        let config: tokio_postgres::Config = url.parse().unwrap();
        assert_eq!(config.get_hosts(), [tokio_postgres::config::Host::Unix("/tmp/a b%/ü".into())]);
    }

    #[test]
    fn a_long_data_directory_gets_a_short_socket_of_its_own() {
        let long = |name: &str| socket_directory(&Path::new("/srv").join("x".repeat(90)).join(name));
        assert_eq!(socket_directory(Path::new("/srv/salon")), Path::new("/srv/salon/postgres/socket"));
        assert!(long("a").starts_with(std::env::temp_dir()));
        assert_ne!(long("a"), long("b"));
    }
}
