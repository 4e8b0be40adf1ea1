//! Replay into the four projections, against reading the same rows and dropping them.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codeccloud::clock::SystemClock;
use codeccloud::postgres::{DatabaseRole, FeedSettings, FeedWaker, PostgresFeed};
use codeccloud_actors::ids::{Position, TenantId};
use codeccloud_actors::ports::{ProjectionStore, SavedProjection, StoreError};
use codeccloud_actors::runtime::{ProjectionPorts, ProjectionSettings, Projections};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Client;

use super::database::{self, BenchDir};
use super::server::Server;
use super::table::{Bar, Rounds, Table};

const ROUNDS: usize = 5;

pub async fn measure(table: &mut Table) {
    let server = Server::start(BenchDir::new());
    let load = ["--max", "--tenants", "8", "--staff", "25", "--horizon-days", "730", "--duration", "20", "--no-check"];
    server.load(&load).await;
    let url = server.output(&["database", "url"]);
    let client = server.superuser().await;
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let (events, seconds) = replay(&url).await;
        let (rows, bare_seconds) = read_and_drop(&client).await;
        assert_eq!(events, rows, "both have read everything");
        rounds.push(events as f64 / seconds, rows as f64 / bare_seconds);
    }
    table.compare("replay into 4 projections", "events/s", &rounds, Bar::RatioAtLeast(0.5));
    server.stop();
}

/// From nothing to caught up, as a server does that finds no saved projections.
async fn replay(url: &str) -> (u64, f64) {
    let database = database::database(url);
    let pool = database.pool(DatabaseRole::Reader, 4, Duration::from_secs(5));
    let settings = FeedSettings {
        poll: Duration::from_millis(100),
        coalesce: Duration::ZERO,
        page_events: 2_000,
        horizon_warn: Duration::from_secs(60),
    };
    let ports = ProjectionPorts {
        feed: Arc::new(PostgresFeed::new(pool, FeedWaker::default(), settings)),
        store: Arc::new(NothingSaved),
        continue_trace: |_, _| {},
        clock: Arc::new(SystemClock),
    };
    let settings = ProjectionSettings { save_every: Duration::from_secs(3_600), save_every_events: u64::MAX };
    let (runtime, _snapshots) = database::runtime(&database);
    let began = Instant::now();
    let projections = Projections::start(ports, &settings, runtime).await.expect("starts");
    while projections.all().iter().any(|projection| !projection.status().live) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    // A booking is an event of two streams, and each stream's events are folded by two projections.
    let [calendar, bookings] = [
        &projections.availability as &dyn codeccloud_actors::runtime::AnyProjection,
        &projections.appointment_summaries,
    ]
    .map(|projection| projection.status().events_applied);
    (calendar + bookings, seconds)
}

async fn read_and_drop(client: &Client) -> (u64, f64) {
    let began = Instant::now();
    let sql = "select id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, occurred_at, position, \
               transaction_id, cluster_id, recorded_at, schema_version, metadata from event_store order by position";
    let rows = client.query_raw::<_, i32, _>(sql, []).await.expect("reads");
    let mut rows = pin!(rows);
    let mut count = 0;
    while let Some(row) = rows.next().await {
        row.expect("reads");
        count += 1;
    }
    (count, began.elapsed().as_secs_f64())
}

/// Nothing was ever saved, and nothing is.
struct NothingSaved;

impl ProjectionStore for NothingSaved {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<SavedProjection>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn save<'a>(&'a self, _: &'a str, _: SavedProjection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn stop_tenant<'a>(
        &'a self,
        projection: &'a str,
        tenant_id: TenantId,
        _: Position,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        panic!("{projection} stopped {tenant_id}: {reason}")
    }
}
