//! Beside the MVP's own consumers of the outbox, who go by `processed_at`, and beside whoever else works on its entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use codeccloud::postgres::outbox_operators::{self, Choice};
use codeccloud::postgres::{DatabaseRole, schema};
use codeccloud_actors::ids::CustomerId;
use tokio_postgres::Client;

use super::failures::outbox;
use super::house::{House, Manner};
use super::sink::MailSink;
use crate::support::Database;
use crate::support::receiver::Receiver;

/// As after the adoption of a database whose outbox was in use. The description's adoption is tested elsewhere.
pub async fn adopted() -> Database {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    schema::rollback(&mut owner, 19).await.unwrap();
    let old = "INSERT INTO outbox_events (tenant_id, aggregate, aggregate_id, event_type, payload) \
               SELECT gen_random_uuid(), 'appointments_202406', gen_random_uuid(), 'insert', '{}' FROM generate_series(1, 500)";
    database.superuser().await.batch_execute(old).await.unwrap();
    let list = "UPDATE app_private.schema_migrations SET adopted_at = now() WHERE number = 1";
    owner.batch_execute(list).await.unwrap();
    schema::apply(&mut owner).await.unwrap();
    database
}

/// An entry that nobody is told of.
const NOBODYS: &str = "INSERT INTO outbox_events (aggregate, event_type, payload) VALUES ('products', 'insert', '{}')";

async fn open(rows: &Client) -> i64 {
    rows.query_one("SELECT count(*) FROM outbox_events WHERE processed_at IS NULL", &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_of_an_adopted_outbox_gets_each_entry_and_so_do_we() {
    let house = House::on(adopted().await, "de-CH").await;
    let receiver = Receiver::that_answers(200);
    house.endpoint(&receiver.url).await;
    let worker = house.worker(Manner::default()).await;
    house.book(None, 0).await;
    house.rows.batch_execute(NOBODYS).await.unwrap();
    receiver.called(1).await;
    house.in_state("done", 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(open(&house.rows).await, 502, "they are the consumer's to mark");

    // One that is faster than we are, and waits for nobody.
    let consumer = house.database.superuser().await;
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    let consuming = tokio::spawn(async move {
        let mark = "UPDATE outbox_events SET processed_at = now() WHERE processed_at IS NULL";
        while !stopping.load(Ordering::SeqCst) {
            consumer.batch_execute(mark).await.unwrap();
        }
    });
    let at_once = "ALTER TABLE outbox_events ALTER COLUMN processed_at SET DEFAULT now()";
    for number in 1..6 {
        house.book(None, number).await;
    }
    house.rows.batch_execute(at_once).await.unwrap();
    house.book(None, 6).await;
    assert_eq!(receiver.called(7).await.len(), 7, "marked or not, it is told");
    stop.store(true, Ordering::SeqCst);
    consuming.await.unwrap();
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_whose_the_entries_are() {
    let house = House::on(adopted().await, "de-CH").await;
    let worker = house.worker(Manner::default()).await;
    house.book(None, 0).await;
    assert_eq!(outbox(&house, &["entries"]), (true, "others\n".to_owned()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(open(&house.rows).await, 501);
    assert_eq!(outbox(&house, &["entries", "ours"]), (true, "ours\n".to_owned()));
    house.book(None, 1).await;
    house.open_entries(500).await;
    assert_eq!(outbox(&house, &["entries", "others"]), (true, "others\n".to_owned()));
    house.book(None, 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(open(&house.rows).await, 501);
    worker.stop().await;
}

/// What comes between adoption and the first start is the past as well.
#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_begins_when_a_worker_first_runs() {
    let (house, sink) = (House::on(adopted().await, "de-CH").await, MailSink::start());
    let customer: CustomerId = house.customer("zoe@example.ch").await;
    house.book(Some(customer), 0).await;
    let mailing = || Manner { smtp_port: Some(sink.port), ..Manner::default() };
    house.worker(mailing()).await.stop().await;
    // While no worker runs, after the first one.
    let later = house.book(Some(customer), 1).await;
    let worker = house.worker(mailing()).await;
    sink.received(1).await;
    house.in_state("done", 1).await;
    worker.stop().await;
    let told: Vec<_> = house.deliveries().await.iter().map(|delivery| delivery["aggregate_id"].clone()).collect();
    assert_eq!(told, [serde_json::json!(later)]);
}

/// Neither planning nor sending asks for what somebody else has locked.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_an_entry_holds_up_nobody() {
    let house = House::build().await;
    let receiver = Receiver::that_answers(200);
    house.endpoint(&receiver.url).await;
    house.book(None, 0).await;
    house.rows.batch_execute(NOBODYS).await.unwrap();
    let other = house.database.superuser().await;
    other.batch_execute("BEGIN; SELECT FROM outbox_events FOR UPDATE").await.unwrap();
    let worker = house.worker(Manner::default()).await;
    let begun = std::time::Instant::now();
    house.in_state("done", 1).await;
    house.book(None, 1).await;
    house.in_state("done", 2).await;
    house.open_entries(2).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    other.batch_execute("COMMIT").await.unwrap();
    house.settled().await;
    worker.stop().await;
}

/// Two deliveries of an entry end at once, one of them discarded: each sees the other one open.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_deliveries_end_at_once_is_marked() {
    let house = House::build().await;
    let (good, bad) = (Receiver::that_answers(200), Receiver::that_answers(500));
    house.endpoint(&bad.url).await;
    let worker = house.worker(Manner { schedule: super::house::quick(1), ..Manner::default() }).await;
    house.book(None, 0).await;
    let dead = house.in_state("dead", 1).await.remove(0);
    house.endpoint(&good.url).await;
    // What it writes into the log waits, so it is not committed yet.
    let log = house.database.superuser().await;
    log.batch_execute("BEGIN; LOCK TABLE audit_log IN EXCLUSIVE MODE").await.unwrap();
    let mut operator = house.database.database().connect(DatabaseRole::Outbox).await.unwrap();
    let id = dead["id"].as_str().unwrap().parse().unwrap();
    let discarding = tokio::spawn(async move {
        let choice = Choice { id: Some(id), ..Choice::default() };
        outbox_operators::discard(&mut operator, &choice, "test").await.unwrap()
    });
    let blocked = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INTO audit_log%'";
    while house.rows.query(blocked, &[]).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = "INSERT INTO outbox_deliveries (tenant_id, id, entry_id, aggregate_id, handler, target_id, event_type, message) \
                  SELECT tenant_id, gen_random_uuid(), entry_id, gen_random_uuid(), handler, (SELECT id FROM webhook_endpoints \
                  ORDER BY created_at DESC LIMIT 1), event_type, message FROM outbox_deliveries";
    house.rows.batch_execute(second).await.unwrap();
    house.in_state("done", 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    house.open_entries(1).await;
    log.batch_execute("COMMIT").await.unwrap();
    assert_eq!(discarding.await.unwrap(), 1);
    house.settled().await;
    worker.stop().await;
}
