//! On a database with a past: what was there before the outbox is nobody's business here.

use std::sync::Arc;

use super::house::{House, Manner};
use super::sink::MailSink;
use crate::support::Database;
use crate::support::receiver::Receiver;
use codeccloud::outbox::{OutboxStore, Plan, PlanEntries};
use codeccloud::postgres::{DatabaseRole, PostgresOutbox, schema};

#[tokio::test(flavor = "multi_thread")]
async fn entries_from_before_are_left_alone_and_later_ones_are_told() {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    schema::rollback(&mut owner, 19).await.unwrap();
    let old = "INSERT INTO outbox_events (tenant_id, aggregate, aggregate_id, event_type, payload) \
               SELECT gen_random_uuid(), 'appointments_202406', gen_random_uuid(), 'insert', '{}' FROM generate_series(1, 500)";
    database.superuser().await.batch_execute(old).await.unwrap();
    schema::apply(&mut owner).await.unwrap();

    let (house, sink, receiver) = (House::on(database, "de-CH").await, MailSink::start(), Receiver::that_answers(200));
    house.endpoint(&receiver.url).await;
    let worker = house.worker(Manner { smtp_port: Some(sink.port), ..Manner::default() }).await;
    house.book(Some(house.customer("zoe@example.ch").await), 0).await;
    sink.received(1).await;
    receiver.called(1).await;
    house.in_state("done", 2).await;
    house.open_entries(500).await;
    worker.stop().await;
    let sql = "SELECT count(*) FILTER (WHERE aggregate_id = $1 AND processed_at IS NOT NULL), \
                   count(*) FILTER (WHERE processed_at IS NULL) FROM outbox_events";
    let booking: uuid::Uuid = house.deliveries().await[0]["aggregate_id"].as_str().unwrap().parse().unwrap();
    let row = house.rows.query_one(sql, &[&booking]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 500), "those from before are as they were");
}

/// A transaction that began earlier commits later: its entry has the lower number.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_commits_late_is_told_too() {
    let house = House::build().await;
    let receiver = Receiver::that_answers(200);
    house.endpoint(&receiver.url).await;
    let worker = house.worker(Manner::default()).await;
    let late = house.database.superuser().await;
    late.batch_execute(
        "BEGIN; INSERT INTO outbox_events (tenant_id, aggregate, aggregate_id, event_type, payload) \
         VALUES (NULL, 'products', NULL, 'insert', '{}')",
    )
    .await
    .unwrap();
    house.book(None, 0).await;
    receiver.called(1).await;
    late.batch_execute("COMMIT").await.unwrap();
    house.settled().await;
    worker.stop().await;
}

/// How far all is planned is noted while a backlog is worked off, not only when it is.
#[tokio::test]
async fn a_backlog_leaves_what_is_behind_it() {
    let database = Database::create().await;
    let (rows, pool) = (database.superuser().await, database.pool(DatabaseRole::Outbox));
    PostgresOutbox::new(pool.clone()).begin(false).await.unwrap();
    let entries = "INSERT INTO outbox_events (aggregate, event_type, payload) \
                   SELECT 'products', 'insert', '{}' FROM generate_series(1, 100)";
    rows.batch_execute(entries).await.unwrap();
    let plan: PlanEntries = Arc::new(|_| Plan::default());
    // Each begins with a look at all.
    for _ in 0..2 {
        PostgresOutbox::new(pool.clone()).plan(20, plan.clone()).await.unwrap();
        rows.batch_execute("UPDATE app_private.outbox_planned SET planned_at = now() - interval '1 minute'")
            .await
            .unwrap();
    }
    PostgresOutbox::new(pool).plan(20, plan).await.unwrap();
    let reached =
        "SELECT s.planned_to, (SELECT count(*) FROM app_private.outbox_planned) FROM app_private.outbox_start s";
    let reached = rows.query_one(reached, &[]).await.unwrap();
    assert_eq!((reached.get::<_, i64>(0), reached.get::<_, i64>(1)), (40, 20));
}
