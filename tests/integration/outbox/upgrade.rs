//! From a build whose outbox knew of no progress of its own, and back to it.

use codeccloud::postgres::schema;

use super::consumers::adopted;
use super::house::{House, Manner};
use super::sink::MailSink;
use crate::support::Database;
use crate::support::receiver::Receiver;

/// Before this one, the worker went by `processed_at`.
const BEFORE: u32 = 31;

fn mailing(sink: &MailSink) -> Manner {
    Manner { smtp_port: Some(sink.port), ..Manner::default() }
}

const CANCELLED: &str = "status = 'cancelled', cancelled_at = now()";

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_loses_no_mail() {
    let (house, sink) = (House::build().await, MailSink::start());
    let customer = house.customer("zoe@example.ch").await;
    let worker = house.worker(mailing(&sink)).await;
    let booking = house.book(Some(customer), 0).await;
    sink.received(1).await;
    house.settled().await;
    worker.stop().await;
    house.change(booking, CANCELLED).await;
    let mut owner = house.database.owner().await;
    schema::rollback(&mut owner, BEFORE).await.unwrap();
    schema::apply(&mut owner).await.unwrap();

    // One without a mail server starts first, and plans mail all the same.
    let worker = house.worker(Manner::default()).await;
    house.book(Some(customer), 1).await;
    house.in_state("waiting", 2).await;
    worker.stop().await;
    let worker = house.worker(mailing(&sink)).await;
    let mails = sink.received(3).await;
    house.settled().await;
    worker.stop().await;
    assert!(
        mails.iter().any(|mail| mail["subject"].as_str().unwrap().starts_with("Ihr Termin wurde abgesagt")),
        "{mails:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_begins_again_tells_what_was_still_to_be_told() {
    let (house, sink) = (House::build().await, MailSink::start());
    let worker = house.worker(mailing(&sink)).await;
    let booking = house.book(Some(house.customer("zoe@example.ch").await), 0).await;
    sink.received(1).await;
    house.settled().await;
    worker.stop().await;
    house.change(booking, CANCELLED).await;
    house.rows.batch_execute("UPDATE app_private.outbox_start SET sends_mail = false").await.unwrap();
    let worker = house.worker(mailing(&sink)).await;
    let mails = sink.received(2).await;
    house.settled().await;
    worker.stop().await;
    assert!(mails[1]["subject"].as_str().unwrap().starts_with("Ihr Termin wurde abgesagt"), "{mails:?}");
}

/// Of an adopted database, whose own consumer is behind.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_takes_no_entry_from_another_consumer() {
    let (house, receiver) = (House::on(adopted().await, "de-CH").await, Receiver::that_answers(200));
    house.endpoint(&receiver.url).await;
    let worker = house.worker(Manner::default()).await;
    house.book(None, 0).await;
    receiver.called(1).await;
    house.in_state("done", 1).await;
    worker.stop().await;
    let mut owner = house.database.owner().await;

    // An entry that is planned lies behind one that isn't, as when the latter committed late.
    let late = "DELETE FROM app_private.outbox_planned WHERE entry_id = (SELECT min(entry_id) FROM app_private.outbox_planned); \
                INSERT INTO app_private.outbox_planned (entry_id, horizon) \
                SELECT max(id) + 1, pg_snapshot_xmin(pg_current_snapshot()) FROM outbox_events";
    house.rows.batch_execute(late).await.unwrap();
    let refused = format!("{:?}", schema::rollback(&mut owner, BEFORE).await);
    assert!(refused.contains("not planned yet"), "{refused}");
    let worker = house.worker(Manner::default()).await;
    house.unplanned(0).await;
    worker.stop().await;

    schema::rollback(&mut owner, BEFORE).await.unwrap();
    house.open_entries(501).await;
    let begins = "SELECT entry_id = (SELECT max(id) + 1 FROM outbox_events) FROM app_private.outbox_start";
    assert!(house.rows.query_one(begins, &[]).await.unwrap().get::<_, bool>(0), "it begins behind what is planned");
}

#[tokio::test]
async fn numbers_that_are_handed_out_in_advance_are_refused() {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    schema::rollback(&mut owner, BEFORE).await.unwrap();
    owner.batch_execute("ALTER SEQUENCE outbox_events_id_seq CACHE 50").await.unwrap();
    let refused = format!("{:?}", schema::apply(&mut owner).await);
    assert!(refused.contains("alter sequence outbox_events_id_seq cache 1"), "{refused}");
    owner.batch_execute("ALTER SEQUENCE outbox_events_id_seq CACHE 1").await.unwrap();
    schema::apply(&mut owner).await.unwrap();
}
