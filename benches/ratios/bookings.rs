//! Bookings a second through the door, under the load tester on the same cores, against the very rows of those bookings
//! as bare batched statements.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::bare_journal::{MOVE_HEADS, TABLES};
use super::database::BenchDir;
use super::raw::RawTable;
use super::server::Server;
use super::table::{Bar, Rounds, Table};

const ROUNDS: usize = 5;
/// In one transaction, as many as the journal's own batches hold under this load and more.
const BATCH: usize = 256;
const CONNECTIONS: usize = 2;

pub async fn measure(table: &mut Table) {
    let server = Server::start(BenchDir::new());
    let client = server.superuser().await;
    let load = ["--max", "--connections", "256", "--tenants", "8", "--staff", "25", "--horizon-days", "730"];
    // The first run makes the salons and warms everything up.
    server.load(&[&load[..], &["--duration", "2", "--no-check"]].concat()).await;
    let retire = "update tenant_stages set stage = 'retired' where tenant_id in (select id from tenants where slug like 'load-%')";
    assert!(client.execute(retire, &[]).await.expect("the stage is known") > 0, "there are salons");
    // Until the server has heard of it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut rounds = Rounds::default();
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        client.batch_execute(TABLES).await.expect("the tables are made");
        client.batch_execute("insert into bare.stream_heads select * from stream_heads").await.expect("copied");
        let since = Mark::now(&client).await;
        // Every booking is checked at the end, once: that takes longer than the booking.
        let check = if round == ROUNDS { "--check" } else { "--no-check" };
        let seed = round.to_string();
        let report = server.load(&[&load[..], &["--duration", "6", "--seed", &seed, check]].concat()).await;
        let latency = &report["kinds"]["book"]["latencyMicros"];
        p50.push(latency["p50"].as_f64().expect("a number") / 1e3);
        p99.push(latency["p99"].as_f64().expect("a number") / 1e3);
        let ours = report["bookingsPerSecond"].as_f64().expect("a number");
        rounds.push(ours, bare(&server, &client, &since).await);
    }
    table.compare("bookings over HTTP", "bookings/s", &rounds, Bar::RatioAtLeast(0.4));
    table.record("  p50 at 256 connections", "ms", super::table::median(&p50), Bar::None);
    table.record("  p99 at 256 connections", "ms", super::table::median(&p99), Bar::None);
    table.record("  server's memory after them", "MiB", server.resident(), Bar::None);
    server.stop();
}

/// What the database held before a round.
struct Mark {
    position: i64,
    time: std::time::SystemTime,
}

impl Mark {
    async fn now(client: &Client) -> Mark {
        let sql = "select (select last_value from event_store_position_seq), clock_timestamp()";
        let row = client.query_one(sql, &[]).await.expect("reads");
        Mark { position: row.get(0), time: row.get(1) }
    }
}

/// Sends what was written since the mark once more, into tables without anything around them.
async fn bare(server: &Server, client: &Client, since: &Mark) -> f64 {
    let sql = "select distinct tenant_id from event_store where position > $1 order by 1";
    let rows = client.query(sql, &[&since.position]).await.expect("reads");
    let tenants: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    let mut lanes = Vec::new();
    for number in 0..CONNECTIONS {
        // A tenant's heads move in order, so each tenant has one connection.
        let mine: Vec<Uuid> = tenants.iter().copied().skip(number).step_by(CONNECTIONS).collect();
        lanes.push(Lane::prepare(server, client, &mine, since).await);
    }
    let bookings: usize = lanes.iter().map(|lane| lane.bookings).sum();
    let began = Instant::now();
    let running: Vec<_> = lanes.into_iter().map(|lane| tokio::spawn(lane.send())).collect();
    for lane in running {
        lane.await.expect("no lane panics");
    }
    bookings as f64 / began.elapsed().as_secs_f64()
}

struct Lane {
    client: Client,
    bookings: usize,
    tables: Vec<(Statement, RawTable)>,
    move_heads: Statement,
    /// Of each event, in the order of the rows.
    streams: Vec<Moved>,
}

struct Moved {
    stream: (Uuid, String, Uuid),
    version: i32,
    event_id: Uuid,
    /// The event before it on its stream.
    previous: Option<Uuid>,
}

/// Where a stream stands before a batch, and behind it.
#[derive(Clone, Copy)]
struct Span {
    expected: (i32, Option<Uuid>),
    head: (i32, Uuid),
}

impl Lane {
    async fn prepare(server: &Server, reader: &Client, tenants: &[Uuid], since: &Mark) -> Lane {
        let list: Vec<String> = tenants.iter().map(|tenant| format!("'{tenant}'")).collect();
        let of_tenants = format!("tenant_id in ({})", list.join(","));
        let time: String =
            reader.query_one("select $1::timestamptz::text", &[&since.time]).await.expect("reads").get(0);
        let events = format!("from event_store where {of_tenants} and position > {} order by position", since.position);
        let client = server.superuser().await;
        let mut tables = Vec::new();
        for (table, query) in [
            ("event_store", format!("select * {events}")),
            (
                "saga_instances",
                format!(
                    "select * from saga_instances where {of_tenants} and updated_at > '{time}' order by updated_at"
                ),
            ),
            (
                "idempotency_keys",
                format!(
                    "select * from idempotency_keys where {of_tenants} and created_at > '{time}' order by created_at"
                ),
            ),
            (
                "vault_customers",
                format!(
                    "select * from vault_customers where {of_tenants} and updated_at > '{time}' order by updated_at"
                ),
            ),
            (
                "vault_notes",
                format!("select * from vault_notes where {of_tenants} and created_at > '{time}' order by created_at"),
            ),
        ] {
            let rows = RawTable::read(reader, table, &query).await;
            tables.push((client.prepare(&rows.insert).await.expect("valid"), rows));
        }
        let query = format!(
            "select tenant_id, aggregate_type, aggregate_id, version, id, (
                 select p.id from event_store p
                 where (p.tenant_id, p.aggregate_type, p.aggregate_id, p.version)
                     = (e.tenant_id, e.aggregate_type, e.aggregate_id, e.version - 1)
             ) from (select * {events}) e order by position"
        );
        let rows = reader.query(&query, &[]).await.expect("reads");
        let streams = rows.iter().map(|row| Moved {
            stream: (row.get(0), row.get(1), row.get(2)),
            version: row.get(3),
            event_id: row.get(4),
            previous: row.get(5),
        });
        let bookings = tables[1].1.rows;
        assert_eq!(tables[0].1.rows, 2 * bookings, "a booking is two events");
        let move_heads = client.prepare(MOVE_HEADS).await.expect("valid");
        Lane { bookings, streams: streams.collect(), tables, move_heads, client }
    }

    async fn send(self) {
        let batches = self.bookings.div_ceil(BATCH).max(1);
        for batch in 0..batches {
            let events = self.streams.len();
            self.commit(batch, batches, &self.streams[events * batch / batches..events * (batch + 1) / batches]).await;
        }
    }

    async fn commit(&self, batch: usize, batches: usize, moved: &[Moved]) {
        let mut spans: BTreeMap<&(Uuid, String, Uuid), Span> = BTreeMap::new();
        // Positions ascend with a stream's versions.
        for Moved { stream, version, event_id, previous } in moved {
            let head = (*version, *event_id);
            spans.entry(stream).or_insert(Span { expected: (version - 1, *previous), head }).head = head;
        }
        let tenants: Vec<Uuid> = spans.keys().map(|stream| stream.0).collect();
        let kinds: Vec<&str> = spans.keys().map(|stream| stream.1.as_str()).collect();
        let ids: Vec<Uuid> = spans.keys().map(|stream| stream.2).collect();
        let expected: Vec<i32> = spans.values().map(|span| span.expected.0).collect();
        let versions: Vec<i32> = spans.values().map(|span| span.head.0).collect();
        let previous: Vec<Option<Uuid>> = spans.values().map(|span| span.expected.1).collect();
        let last: Vec<Uuid> = spans.values().map(|span| span.head.1).collect();
        let inserts = self.tables.iter().map(|(statement, rows)| async move {
            let columns = rows.slice(batch, batches);
            if columns[0].is_empty() {
                return;
            }
            let parameters: Vec<&(dyn ToSql + Sync)> =
                columns.iter().map(|column| column as &(dyn ToSql + Sync)).collect();
            self.client.execute(statement, &parameters).await.expect("the rows are valid");
        });
        let heads: [&(dyn ToSql + Sync); 7] = [&tenants, &kinds, &ids, &expected, &versions, &previous, &last];
        let (begun, heads, _, committed) = tokio::join!(
            self.client.batch_execute("begin"),
            self.client.query(&self.move_heads, &heads),
            futures_util::future::join_all(inserts),
            self.client.batch_execute("commit"),
        );
        begun.expect("begins");
        heads.expect("every head stands where it is expected");
        committed.expect("commits");
    }
}
