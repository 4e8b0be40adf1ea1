//! The feed: nothing is skipped and each stream comes in order, whatever transactions do.

use std::time::Duration;

use codeccloud::postgres::{DatabaseRole, FeedSettings, FeedWaker, PooledClient, PostgresFeed};
use codeccloud_actors::ids::StreamId;
use codeccloud_actors::ports::{Feed, FeedCursor};
use tokio_postgres::Client;

use crate::support::Database;
use crate::support::appends::{append, events, journal, stream, submit_all};

pub fn feed(database: &Database, page_events: usize) -> PostgresFeed {
    let settings = FeedSettings {
        poll: Duration::from_millis(20),
        coalesce: Duration::ZERO,
        page_events,
        horizon_warn: Duration::from_secs(3_600),
    };
    PostgresFeed::new(database.pool(DatabaseRole::Reader), FeedWaker::default(), settings)
}

/// All that the feed gives from `cursor` on, which it moves.
pub async fn drain(feed: &PostgresFeed, cursor: &mut FeedCursor) -> Vec<(StreamId, u32)> {
    let mut delivered = Vec::new();
    loop {
        let page = feed.read(cursor).await.unwrap();
        delivered.extend(page.events.iter().map(|event| (event.stream, event.version.0)));
        *cursor = page.cursor;
        if page.caught_up {
            return delivered;
        }
    }
}

/// An append in a transaction of its own, which the caller ends.
async fn append_in(client: &Client, of: StreamId, expected: u32) {
    let (tenant, id, part) = (of.tenant_id, of.aggregate_id, events(of, expected, 1));
    let before = part.expected.last_event_id.map_or_else(|| "null".to_owned(), |id| id.to_string());
    let (version, event) = (part.head().version, part.events[0].event_id);
    let sql = format!(
        "SELECT app_private.append('{{{tenant}}}', '{{{tenant}}}', '{{booking}}', '{{{id}}}', '{{{expected}}}', \
         '{{{before}}}', '{{{version}}}', '{{{event}}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{1}}', '{{{event}}}', \
         '{{booking_confirmed}}', '{{{version}}}', '{{1}}', array['{{}}'::jsonb], array[now()], '{{1}}', \
         array['{{}}'::jsonb], {})",
        ["'{}'"; 25].join(", "),
    );
    client.batch_execute(&sql).await.unwrap();
}

async fn journal_client(database: &Database) -> PooledClient {
    database.database().connect(DatabaseRole::Journal).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_held_open_across_many_commits_is_not_skipped() {
    let database = Database::for_appends().await;
    let (journal, feed, mut cursor) = (journal(&database), feed(&database, 100), FeedCursor::default());
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
    assert_eq!(drain(&feed, &mut cursor).await, [(stream(1, 1), 1)]);

    let held = journal_client(&database).await;
    held.batch_execute("BEGIN").await.unwrap();
    append_in(&held, stream(2, 2), 0).await;
    for n in 0..20 {
        submit_all(&journal, vec![append(vec![events(stream(1, 100 + n), 0, 1)])]).await;
        // Behind the held transaction nothing is final.
        assert_eq!(drain(&feed, &mut cursor).await, []);
    }
    held.batch_execute("COMMIT").await.unwrap();
    let delivered = drain(&feed, &mut cursor).await;
    assert_eq!(delivered.len(), 21, "{delivered:?}");
    assert!(delivered.contains(&(stream(2, 2), 1)));
    assert_eq!(drain(&feed, &mut cursor).await, []);
}

/// A snapshot ends one beyond the newest transaction that is over. The newest of all, still running, may lie there too.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_runs_beyond_the_end_of_every_snapshot_is_not_skipped() {
    let database = Database::for_appends().await;
    let (journal, feed, mut cursor) = (journal(&database), feed(&database, 100), FeedCursor::default());
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
    assert_eq!(drain(&feed, &mut cursor).await, [(stream(1, 1), 1)]);

    let held = journal_client(&database).await;
    held.batch_execute("BEGIN").await.unwrap();
    append_in(&held, stream(2, 2), 0).await;
    // What one read saw of positions is a bound for the transactions that the next one finds not yet begun.
    for _ in 0..3 {
        assert_eq!(drain(&feed, &mut cursor).await, []);
    }
    held.batch_execute("COMMIT").await.unwrap();
    assert_eq!(drain(&feed, &mut cursor).await, [(stream(2, 2), 1)]);
}

/// A sequence that was never used looks almost like one that gave out its first number.
#[tokio::test(flavor = "multi_thread")]
async fn the_very_first_event_reaches_a_reader_that_was_waiting_for_it() {
    let database = Database::for_appends().await;
    let (journal, feed, mut cursor) = (journal(&database), feed(&database, 100), FeedCursor::default());
    for _ in 0..3 {
        assert_eq!(drain(&feed, &mut cursor).await, []);
        // Transactions that append nothing move the horizon.
        database.superuser().await.execute("SELECT pg_current_xact_id()", &[]).await.unwrap();
    }
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 2)])]).await;
    assert_eq!(drain(&feed, &mut cursor).await, [(stream(1, 1), 1), (stream(1, 1), 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_transaction_may_append_the_later_version() {
    let database = Database::for_appends().await;
    let (journal, feed, mut cursor) = (journal(&database), feed(&database, 100), FeedCursor::default());
    let older = journal_client(&database).await;
    // Takes its transaction id by writing elsewhere first.
    older.batch_execute("BEGIN").await.unwrap();
    append_in(&older, stream(1, 50), 0).await;
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
    append_in(&older, stream(1, 1), 1).await;
    older.batch_execute("COMMIT").await.unwrap();
    let delivered = drain(&feed, &mut cursor).await;
    let of_one: Vec<u32> = delivered.iter().filter(|event| event.0 == stream(1, 1)).map(|event| event.1).collect();
    assert_eq!(of_one, [1, 2]);
    assert_eq!(delivered.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_large_window_leave_nothing_out() {
    let database = Database::for_appends().await;
    let (journal, mut cursor) = (journal(&database), FeedCursor::default());
    let appends = (0..250).map(|n| append(vec![events(stream(1 + n % 3, 100 + n), 0, 2)])).collect();
    submit_all(&journal, appends).await;
    let feed = feed(&database, 7);
    let delivered = drain(&feed, &mut cursor).await;
    assert_eq!(delivered.len(), 500);
    assert_eq!(drain(&feed, &mut cursor).await, []);
    submit_all(&journal, vec![append(vec![events(stream(1, 100), 2, 1)])]).await;
    assert_eq!(drain(&feed, &mut cursor).await, [(stream(1, 100), 3)]);
}

/// While servers are replaced one by one, the newer ones write what the older ones have no name for.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_aggregate_type_that_only_newer_builds_know_are_passed_over() {
    let database = Database::for_appends().await;
    let (journal, mut cursor) = (journal(&database), FeedCursor::default());
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
    let newer = "INSERT INTO event_store (id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, \
            occurred_at, cluster_id, recorded_at, schema_version, metadata) \
        SELECT gen_random_uuid(), gen_random_uuid(), 'gift_card', gen_random_uuid(), 'gift_card_sold', 1, '{}', now(), \
            app_private.cluster_id(), now(), 1, '{}' FROM generate_series(1, 5)";
    database.superuser().await.batch_execute(newer).await.unwrap();
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 1, 1)])]).await;
    let feed = feed(&database, 2);
    assert_eq!(drain(&feed, &mut cursor).await, [(stream(1, 1), 1), (stream(1, 1), 2)]);
    assert_eq!(drain(&feed, &mut cursor).await, []);
}

/// Dump, restore into another cluster, write there: its transaction ids start anew, and are below those in the dump.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_gives_its_past_first_and_then_what_is_new() {
    let old = Database::for_appends().await;
    let journal_of_old = journal(&old);
    for n in 0..200 {
        submit_all(&journal_of_old, vec![append(vec![events(stream(1, 1), n, 1)])]).await;
    }
    let mut checkpoint = FeedCursor::default();
    let feed_of_old = feed(&old, 64);
    assert_eq!(drain(&feed_of_old, &mut checkpoint).await.len(), 200);
    submit_all(&journal_of_old, vec![append(vec![events(stream(1, 1), 200, 1)])]).await;

    let restored = Database::for_appends().await;
    restore(&old, &restored);
    submit_all(&journal(&restored), vec![append(vec![events(stream(1, 1), 201, 1)])]).await;

    let feed = feed(&restored, 64);
    let mut afresh = FeedCursor::default();
    let all: Vec<u32> = drain(&feed, &mut afresh).await.iter().map(|event| event.1).collect();
    assert_eq!(all, (1..=202).collect::<Vec<_>>());
    let since: Vec<u32> = drain(&feed, &mut checkpoint).await.iter().map(|event| event.1).collect();
    assert_eq!(since, [201, 202], "from a checkpoint that was taken before the dump");
}

fn restore(from: &Database, to: &Database) {
    use std::process::{Command, Stdio};
    let tables = ["event_store*", "stream_heads"].map(|table| format!("--table=public.{table}"));
    let mut dump = Command::new("pg_dump")
        .args(["--data-only", "--dbname", &from.superuser_url()])
        .args(tables)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let restored = Command::new("psql")
        .args(["--quiet", "-v", "ON_ERROR_STOP=1", "--dbname", &to.superuser_url()])
        .stdin(dump.stdout.take().unwrap())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(dump.wait().unwrap().success() && restored.success());
}
