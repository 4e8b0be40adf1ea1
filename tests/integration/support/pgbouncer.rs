//! A real PgBouncer in transaction mode, in front of a database of ours.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Uid;
use tokio_postgres::config::Host;

use super::TestDir;

pub struct PgBouncer {
    child: Child,
    pub url: String,
    _dir: TestDir,
}

impl PgBouncer {
    /// With few connections to the database, so that clients do share them.
    pub fn before(database_url: &str) -> PgBouncer {
        let config: tokio_postgres::Config = database_url.parse().unwrap();
        let Some(Host::Unix(socket)) = config.get_hosts().first() else { panic!("{config:?}") };
        let (login, name) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = TestDir::new();
        std::fs::create_dir_all(dir.path()).unwrap();
        let configuration = dir.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{name} = host={} port=5432 user={login} dbname={name}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200\n",
            socket.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let mut command = Command::new("pgbouncer");
        // Debian keeps it where root's path leads.
        command.env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin:/opt/homebrew/bin").arg(&configuration);
        if Uid::effective().is_root() {
            // It refuses to run as root, and the database lets in nobody but its own user.
            let owner = std::fs::metadata(socket).unwrap();
            command.uid(owner.uid()).gid(owner.gid());
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("scripts/install-test-tools.sh");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        PgBouncer { child, url: format!("postgresql://{login}@127.0.0.1:{port}/{name}"), _dir: dir }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
