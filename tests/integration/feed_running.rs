//! The feed in the long run: what a poll costs, who holds the feed back, and what a lost wake-up costs.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codeccloud::postgres::{DatabaseRole, FeedSettings, FeedWaker, PostgresFeed, PostgresJournal};
use codeccloud::telemetry::Prometheus;
use codeccloud_actors::ports::{Feed, FeedCursor};
use serde_json::Value;
use tokio_postgres::Client;

use crate::feed::{drain, feed};
use crate::support::Database;
use crate::support::appends::{append, events, journal, stream, submit_all};

/// What the feed's own statements touched for one poll that brought one event.
#[derive(Debug, PartialEq, Eq)]
struct PollCost {
    buffers: u64,
    relations: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_costs_the_same_at_2_and_at_120_partitions() {
    let database = Database::for_appends().await;
    let superuser = database.superuser().await;
    let except_two = "DO $$ DECLARE p regclass; BEGIN \
        FOR p IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'event_store'::regclass LOOP \
            IF right(p::text, 6) NOT IN (to_char(now() AT TIME ZONE 'UTC', 'YYYYMM'), \
                to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYYMM')) \
            THEN EXECUTE format('DROP TABLE %s', p); END IF; \
        END LOOP; END $$";
    superuser.batch_execute(except_two).await.unwrap();
    explain_every_statement(&superuser).await;
    let (journal, feed, mut cursor) = (journal(&database), feed(&database, 100), FeedCursor::default());
    let mut written = 0;
    // Until the feed knows from when on the transactions to come can have written.
    while cursor.since_ms == 0 {
        poll_with_one_event(&journal, &feed, &mut cursor, &mut written).await;
    }
    assert_eq!(partitions(&superuser).await, 2);
    let few = poll_cost(&database, &journal, &feed, &mut cursor, &mut written).await;

    let history = "SELECT app_private.create_event_partition((now() - make_interval(months => n))::date) \
        FROM generate_series(1, 118) n; \
        INSERT INTO event_store (id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, \
            occurred_at, cluster_id, recorded_at, schema_version, metadata) \
        SELECT gen_random_uuid(), gen_random_uuid(), 'booking', gen_random_uuid(), 'booking_confirmed', 1, '{}', \
            now(), app_private.cluster_id(), now() - make_interval(months => m), 1, '{}' \
        FROM generate_series(1, 118) m, generate_series(1, 100); \
        ANALYZE event_store";
    superuser.batch_execute(history).await.unwrap();
    assert_eq!(partitions(&superuser).await, 120);
    let many = poll_cost(&database, &journal, &feed, &mut cursor, &mut written).await;
    assert_eq!(few, many);
    assert!(few.buffers > 0 && !few.relations.is_empty(), "{few:?}");
}

/// PostgreSQL itself logs the plan of each statement as it was run.
pub async fn explain_every_statement(superuser: &Client) {
    let settings = [
        ("session_preload_libraries", "'auto_explain'"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_buffers", "on"),
        ("auto_explain.log_timing", "off"),
        ("auto_explain.log_format", "'json'"),
    ];
    superuser.batch_execute("LOAD 'auto_explain'").await.unwrap();
    for (name, value) in settings {
        superuser.batch_execute(&format!("ALTER DATABASE codeccloud SET {name} = {value}")).await.unwrap();
    }
}

async fn partitions(client: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'event_store'::regclass";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn poll_with_one_event(
    journal: &PostgresJournal,
    feed: &PostgresFeed,
    cursor: &mut FeedCursor,
    written: &mut u32,
) {
    submit_all(journal, vec![append(vec![events(stream(1, 1), *written, 1)])]).await;
    *written += 1;
    assert_eq!(drain(feed, cursor).await, [(stream(1, 1), *written)]);
}

async fn poll_cost(
    database: &Database,
    journal: &PostgresJournal,
    feed: &PostgresFeed,
    cursor: &mut FeedCursor,
    written: &mut u32,
) -> PollCost {
    // Once to fill what the connection remembers of tables.
    poll_with_one_event(journal, feed, cursor, written).await;
    let before = database.log().len();
    poll_with_one_event(journal, feed, cursor, written).await;
    let mut cost = PollCost { buffers: 0, relations: BTreeSet::new() };
    for plan in plans(&database.log()[before..]) {
        let text = plan["Query Text"].as_str().unwrap();
        if text.starts_with("SELECT pg_snapshot_xmin") || text.contains("FROM event_store WHERE position >") {
            cost.buffers += plan["Plan"]["Shared Hit Blocks"].as_u64().unwrap();
            cost.buffers += plan["Plan"]["Shared Read Blocks"].as_u64().unwrap();
            relations(&plan["Plan"], &mut cost.relations);
        }
    }
    cost
}

/// Each plan stands behind its line, indented by a tab.
pub fn plans(log: &str) -> Vec<Value> {
    let behind = log.split("plan:\n").skip(1);
    behind
        .map(|text| {
            let lines: Vec<&str> = text.lines().map_while(|line| line.strip_prefix('\t')).collect();
            serde_json::from_str(&lines.join("\n")).unwrap()
        })
        .collect()
}

fn relations(node: &Value, into: &mut BTreeSet<String>) {
    into.extend(node["Relation Name"].as_str().map(str::to_owned));
    node["Plans"].as_array().into_iter().flatten().for_each(|child| relations(child, into));
}

/// What is logged while it is in use on this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    fn on_this_thread(&self) -> tracing::subscriber::DefaultGuard {
        let lines = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || lines.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings(poll: Duration, horizon_warn: Duration) -> FeedSettings {
    FeedSettings { poll, coalesce: Duration::ZERO, page_events: 100, horizon_warn }
}

#[tokio::test]
async fn who_holds_the_feed_back_is_named_in_metric_and_log() {
    let metrics = Prometheus::install();
    let logged = Logged::default();
    let _logging = logged.on_this_thread();
    let database = Database::for_appends().await;
    let journal = journal(&database);
    let settings = settings(Duration::from_millis(20), Duration::from_millis(50));
    let feed = PostgresFeed::new(database.pool(DatabaseRole::Reader), FeedWaker::default(), settings);
    let mut cursor = FeedCursor::default();
    drain(&feed, &mut cursor).await;

    // Somebody's open prompt that has written something and went for lunch.
    let prompt = database.superuser().await;
    prompt.batch_execute("SET application_name = 'month-end report'; BEGIN").await.unwrap();
    let row = prompt.query_one("SELECT pg_backend_pid()::text, pg_current_xact_id()::text", &[]).await.unwrap();
    let (pid, transaction_id): (&str, &str) = (row.get(0), row.get(1));
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
    let holder =
        format!("codeccloud_feed_horizon_holder_age_seconds{{pid=\"{pid}\",application=\"month-end report\"}} ");
    let age = |series: &str| {
        let text = metrics.render();
        text.lines().find_map(|line| line.strip_prefix(series)?.parse::<f64>().ok())
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while age(&holder).is_none() {
        assert!(Instant::now() < deadline, "nobody is named:\n{}", metrics.render());
        assert_eq!(drain(&feed, &mut cursor).await, []);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(age(&holder).unwrap() >= 0.05);
    let named_at = age("codeccloud_feed_horizon_age_seconds ").unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    drain(&feed, &mut cursor).await;
    assert!(age("codeccloud_feed_horizon_age_seconds ").unwrap() >= named_at + 0.02, "the age stands still");
    let text = logged.text();
    let line = text.lines().find(|line| line.contains("holds the feed back")).unwrap_or_else(|| panic!("{text}"));
    for part in ["WARN".to_owned(), format!("pid=\"{pid}\""), format!("transaction_id={transaction_id}")] {
        assert!(line.contains(&part), "{part} is missing: {line}");
    }
    assert!(line.contains("application=\"month-end report\"") && line.contains("age_seconds="), "{line}");

    prompt.batch_execute("COMMIT").await.unwrap();
    assert_eq!(drain(&feed, &mut cursor).await, [(stream(1, 1), 1)]);
    assert_eq!((age(&holder), age("codeccloud_feed_horizon_age_seconds ")), (Some(0.0), Some(0.0)));
}

/// Otherwise reads would look up to date just when they are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_since_when_the_oldest_event_behind_it_waits() {
    let database = Database::for_appends().await;
    let (journal, feed, mut cursor) = (journal(&database), feed(&database, 100), FeedCursor::default());
    drain(&feed, &mut cursor).await;
    let prompt = database.superuser().await;
    prompt.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    let waiting = async |cursor: &mut FeedCursor| {
        let page = feed.read(cursor).await.unwrap();
        assert!(page.caught_up && page.events.is_empty(), "{page:?}");
        *cursor = page.cursor;
        page.waiting_since
    };
    let deadline = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < deadline {
        assert_eq!(waiting(&mut cursor).await, None, "nothing waits");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let first = submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 1)])]).await[0].clone().unwrap();
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 1, 1)])]).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    while waiting(&mut cursor).await.is_none() {
        assert!(Instant::now() < deadline, "nobody sees that it waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(waiting(&mut cursor).await, Some(first.recorded_at));

    prompt.batch_execute("COMMIT").await.unwrap();
    let page = feed.read(&cursor).await.unwrap();
    assert_eq!((page.events.len(), page.waiting_since), (2, None));
}

/// Whether a commit of another node wakes the feed long before it would poll.
async fn wakes(feed: &PostgresFeed, other_node: &FeedWaker) -> bool {
    other_node.committed();
    tokio::time::timeout(Duration::from_secs(1), feed.wait()).await.is_ok()
}

async fn listeners(superuser: &Client) -> BTreeSet<i32> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN codeccloud_events%'";
    superuser.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn listening(superuser: &Client) -> BTreeSet<i32> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let pids = listeners(superuser).await;
        if !pids.is_empty() {
            return pids;
        }
        assert!(Instant::now() < deadline, "nobody listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_lost_wake_up_or_a_cut_listener_costs_latency_only() {
    let logged = Logged::default();
    let _logging = logged.on_this_thread();
    let database = Database::for_appends().await;
    let superuser = database.superuser().await;
    let here = FeedWaker::default();
    here.start(&database.database(), Duration::from_millis(5));
    let cut = listening(&superuser).await;
    let other_node = FeedWaker::default();
    other_node.start(&database.database(), Duration::from_millis(5));
    let reader = |poll| {
        let settings = settings(poll, Duration::from_secs(3_600));
        PostgresFeed::new(database.pool(DatabaseRole::Reader), here.clone(), settings)
    };
    let slow = reader(Duration::from_secs(3_600));
    assert!(wakes(&slow, &other_node).await, "a notification of another node wakes the feed");

    // The wake-up is lost on the way: the other node's journal tells nobody.
    let (journal, mut cursor) = (journal(&database), FeedCursor::default());
    let polling = reader(Duration::from_millis(100));
    drain(&polling, &mut cursor).await;
    superuser.execute("SELECT pg_terminate_backend($1)", &[cut.first().unwrap()]).await.unwrap();
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
    let began = Instant::now();
    polling.wait().await;
    assert_eq!(drain(&polling, &mut cursor).await, [(stream(1, 1), 1)]);
    assert!(began.elapsed() < Duration::from_secs(1), "a poll takes {:?}", began.elapsed());

    let deadline = Instant::now() + Duration::from_secs(10);
    while !wakes(&slow, &other_node).await {
        assert!(Instant::now() < deadline, "nobody listens again");
    }
    assert!(listeners(&superuser).await.is_disjoint(&cut));
    let text = logged.text();
    assert!(text.contains("WARN") && text.contains("the LISTEN connection ended"), "{text}");
}
