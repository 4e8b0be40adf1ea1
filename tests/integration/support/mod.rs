//! A database of its own for each test, and servers to talk to.

pub mod appends;
pub mod certificates;
pub mod commands;
pub mod cut;
pub mod mvp;
pub mod otlp;
pub mod pgbouncer;
pub mod receiver;
mod redis;
mod server;
pub mod totals;

use std::path::{Path, PathBuf};
use std::time::Duration;

use codeccloud::clock::SystemIds;
use codeccloud::postgres::embedded::EmbeddedPostgres;
use codeccloud::postgres::{ConnectionPool, DatabaseRole, schema};
use codeccloud_actors::ports::Ids;
use tokio_postgres::{Client, NoTls};

pub use redis::RedisServer;
pub(crate) use server::in_both_modes;
pub use server::{Mode, Reply, Salon, Server, command_beside, command_on, key, output, token, token_of};

/// A directory under the system's temporary one that goes with its test.
pub struct TestDir(PathBuf);

impl TestDir {
    pub fn new() -> TestDir {
        TestDir(std::env::temp_dir().join(format!("cc-{}", SystemIds.uuid().simple())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A real PostgreSQL with the schema applied. It ends with the test's runtime.
pub struct Database {
    postgres: EmbeddedPostgres,
    dir: TestDir,
}

impl Database {
    pub async fn create() -> Database {
        Database::create_with(&[]).await
    }

    /// With parameters of PostgreSQL's own.
    pub async fn create_with(parameters: &[(&str, &str)]) -> Database {
        let dir = TestDir::new();
        // A crash of the machine is nothing that these tests are about.
        let parameters = [&[("fsync", "off")], parameters].concat();
        let postgres = EmbeddedPostgres::start_with(dir.path(), &parameters).await.unwrap();
        let database = Database { postgres, dir };
        schema::apply(&mut database.owner().await).await.unwrap();
        database
    }

    /// With the tenants 1 to 100 in scale mode, for appends made by hand.
    pub async fn for_appends() -> Database {
        let database = Database::create().await;
        make_tenants(&database.superuser().await).await;
        database
    }

    pub fn url(&self) -> String {
        self.postgres.url()
    }

    pub async fn owner(&self) -> Client {
        connect(&self.url()).await
    }

    pub async fn superuser(&self) -> Client {
        connect(&self.superuser_url()).await
    }

    /// To the server's database, past all policies.
    pub fn superuser_url(&self) -> String {
        self.postgres.url().replacen("codeccloud@", "codeccloud_bootstrap@", 1)
    }

    /// PostgreSQL's own directory.
    pub fn cluster(&self) -> PathBuf {
        self.dir.path().join("postgres/cluster")
    }

    /// What PostgreSQL has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("postgres.log")).unwrap()
    }

    pub fn database(&self) -> codeccloud::postgres::Database {
        database_of(&self.postgres.url())
    }

    pub fn pool(&self, role: DatabaseRole) -> ConnectionPool {
        self.database().pool(role, 8, Duration::from_secs(5))
    }
}

pub fn database_of(url: &str) -> codeccloud::postgres::Database {
    let io = tokio::runtime::Handle::current();
    codeccloud::postgres::Database::new(url, Duration::from_secs(5), io).unwrap()
}

/// Those of [`Database::for_appends`].
pub async fn make_tenants(superuser: &Client) {
    let sql = "INSERT INTO tenants (id, slug, name) \
                   SELECT lpad(to_hex(n), 32, '0')::uuid, 'salon-' || n, 'Salon' FROM generate_series(1, 100) n; \
               INSERT INTO tenant_stages (tenant_id, stage) SELECT id, 'scale' FROM tenants ON CONFLICT DO NOTHING";
    superuser.batch_execute(sql).await.unwrap();
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
