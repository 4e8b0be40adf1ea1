//! A PostgreSQL of the benchmark's own, as durable as a server's: with `fsync` and synchronous commits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codeccloud::clock::{SystemClock, SystemIds};
use codeccloud::postgres::embedded::EmbeddedPostgres;
use codeccloud::postgres::{
    Database, DatabaseRole, FeedWaker, JournalSettings, PostgresIdempotency, PostgresJournal, PostgresSnapshots,
    PostgresStreams, schema,
};
use codeccloud_actors::ids::NodeId;
use codeccloud_actors::ports::{IdempotencyStore, Ids};
use codeccloud_actors::runtime::{Runtime, RuntimePorts, RuntimeSettings};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// A directory that goes with its benchmark.
pub struct BenchDir(PathBuf);

impl BenchDir {
    pub fn new() -> BenchDir {
        BenchDir(std::env::temp_dir().join(format!("cc-bench-{}", SystemIds.uuid().simple())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for BenchDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct BenchDatabase {
    postgres: EmbeddedPostgres,
    _dir: BenchDir,
}

impl BenchDatabase {
    pub async fn create() -> BenchDatabase {
        let dir = BenchDir::new();
        let postgres = EmbeddedPostgres::start(dir.path()).await.expect("PostgreSQL starts");
        let mut owner = connect(&postgres.url()).await;
        schema::apply(&mut owner).await.expect("the schema applies");
        BenchDatabase { postgres, _dir: dir }
    }

    pub fn url(&self) -> String {
        self.postgres.url()
    }

    /// Past all policies: for what bare statements are sent with, and for rows that no server would write.
    pub async fn superuser(&self) -> Client {
        connect(&as_superuser(&self.postgres.url())).await
    }

    /// Puts these tenants where events go alone: what is measured here is the way of events.
    pub async fn retire(&self, tenants: &[Uuid]) {
        let sql = "with t as (insert into tenants (id, slug, name) select id, id::text, 'Salon' from unnest($1::uuid[]) id \
                   returning id) insert into tenant_stages (tenant_id, stage) select id, 'retired' from t";
        self.superuser().await.execute(sql, &[&tenants]).await.expect("the tenants are new");
    }

    pub async fn stop(self) {
        self.postgres.stop().await;
    }
}

/// The same database, as the role that made the cluster.
pub fn as_superuser(url: &str) -> String {
    url.replacen("codeccloud@", "codeccloud_bootstrap@", 1)
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

pub fn database(url: &str) -> Database {
    Database::new(url, Duration::from_secs(5), tokio::runtime::Handle::current()).expect("a valid URL")
}

/// With the server's own defaults.
pub fn journal(database: &Database) -> PostgresJournal {
    let settings =
        JournalSettings { lanes: 2, queue_max: 8_192, batch_max: 512, reconnect_pause: Duration::from_millis(100) };
    PostgresJournal::start(database, &settings, &idempotency(database), &FeedWaker::default())
}

fn idempotency(database: &Database) -> Arc<dyn IdempotencyStore> {
    Arc::new(PostgresIdempotency::new(database.pool(DatabaseRole::Reader, 2, Duration::from_secs(5))))
}

/// Actors over that database. Call it within an actix system.
pub fn runtime(database: &Database) -> (Runtime, Arc<PostgresSnapshots>) {
    let pool = |role| database.pool(role, 8, Duration::from_secs(30));
    let snapshots = Arc::new(PostgresSnapshots::start(database, pool(DatabaseRole::Projector)));
    let settings = RuntimeSettings {
        arbiters: 2,
        mailbox_capacity: 1_024,
        passivate_after: Duration::from_secs(3_600),
        active_max: 200_000,
        snapshot_every: 100,
        conflict_retries: 20,
        restart_backoff_min: Duration::from_millis(10),
        restart_backoff_max: Duration::from_secs(1),
    };
    let ports = RuntimePorts {
        journal: Arc::new(journal(database)),
        streams: Arc::new(PostgresStreams::new(pool(DatabaseRole::Reader))),
        snapshots: snapshots.clone(),
        idempotency: idempotency(database),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    (Runtime::start(NodeId(SystemIds.uuid()), settings, ports), snapshots)
}
