//! Nodes that are set up differently, what wakes them, and how they share themselves out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codeccloud::ports::Webhooks;
use codeccloud::postgres::OutboxWaker;
use serde_json::json;

use super::failures::outbox;
use super::house::{House, Manner, idempotency, quick};
use super::sink::MailSink;
use crate::support::receiver::Receiver;

/// So long that nobody waits for it.
const NEVER: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_mail_server_leaves_mail_to_those_that_have_one() {
    let (house, sink) = (House::build().await, MailSink::start());
    let customer = house.customer("zoe@example.ch").await;
    let without = house.worker(Manner::default()).await;
    house.book(Some(customer), 0).await;
    house.settled().await;
    assert_eq!(house.deliveries().await.len(), 0, "nobody sends mail yet");
    let mailing = || Manner { smtp_port: Some(sink.port), ..Manner::default() };
    house.worker(mailing()).await.stop().await;
    // Only the node without one is there.
    house.book(Some(customer), 1).await;
    house.in_state("waiting", 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = house.in_state("waiting", 1).await;
    assert_eq!(waiting[0]["attempts"], 0);
    let with = house.worker(mailing()).await;
    sink.received(1).await;
    house.in_state("done", 1).await;
    house.settled().await;
    with.stop().await;

    assert_eq!(outbox(&house, &["mail", "off"]), (true, "0 mails were skipped\n".to_owned()));
    house.book(Some(customer), 2).await;
    house.settled().await;
    without.stop().await;
    assert_eq!(house.deliveries().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_was_skipped_is_sent_when_an_operator_says_so() {
    let (house, sink) = (House::build().await, MailSink::start());
    let mailing = || Manner { smtp_port: Some(sink.port), ..Manner::default() };
    house.worker(mailing()).await.stop().await;
    let without = house.worker(Manner::default()).await;
    house.book(Some(house.customer("zoe@example.ch").await), 0).await;
    house.in_state("waiting", 1).await;
    without.stop().await;
    assert_eq!(outbox(&house, &["mail", "off"]), (true, "1 mails were skipped\n".to_owned()));
    let with = house.worker(mailing()).await;
    assert!(!outbox(&house, &["retry", "--all"]).0, "it is no dead letter");
    let retry = ["retry", "--all", "--state", "skipped", "--handler", "email"];
    assert_eq!(outbox(&house, &retry), (true, "1 deliveries begin anew\n".to_owned()));
    sink.received(1).await;
    with.stop().await;
}

/// By another node's NOTIFY, an operator's, and that of a member who asks for a delivery again.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_commits_wakes_the_workers_of_all_nodes() {
    let house = House::build().await;
    let failing = Arc::new(AtomicBool::new(true));
    let fails = failing.clone();
    let receiver = Receiver::start(move |_, _| (if fails.load(Ordering::SeqCst) { 500 } else { 200 }, String::new()));
    let (endpoint, _) = house.endpoint(&receiver.url).await;
    let worker = house.worker(Manner { poll: NEVER, schedule: quick(1), ..Manner::default() }).await;
    let other = OutboxWaker::default();
    other.start(&house.database.database(), Duration::from_millis(5));
    house.listened(2).await;
    // The first looks are over by then.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.calls().len(), 0);

    house.book(None, 0).await;
    let begun = Instant::now();
    other.committed();
    let dead = house.in_state("dead", 1).await.remove(0);
    failing.store(false, Ordering::SeqCst);
    assert!(outbox(&house, &["retry", "--all"]).0);
    house.in_state("done", 1).await;
    let mut endpoints = house.endpoints();
    endpoints.waker = other;
    let delivery = dead["id"].as_str().unwrap().parse().unwrap();
    endpoints.replay(house.tenant_id, house.manager, endpoint, delivery, idempotency()).await.unwrap();
    assert_eq!(receiver.called(3).await.len(), 3);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    worker.stop().await;
}

/// A salon has many endpoints that hang, and another one's are called all the same; so is its one that answers.
#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_hold_up_nobody_else() {
    let house = House::build().await;
    let released = Arc::new(AtomicBool::new(false));
    let (release, most, at_once) = (released.clone(), Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let (seen, counted) = (most.clone(), at_once.clone());
    let hanging = Receiver::start(move |_, _| {
        let now = {
            *counted.lock().unwrap() += 1;
            *counted.lock().unwrap()
        };
        let mut most = seen.lock().unwrap();
        *most = now.max(*most);
        drop(most);
        while !release.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        *counted.lock().unwrap() -= 1;
        (200, String::new())
    });
    let good = Receiver::that_answers(200);
    for _ in 0..12 {
        house.endpoint(&hanging.url).await;
    }
    house.book(None, 0).await;
    house.book(None, 1).await;
    let manner = || Manner { call_timeout: Duration::from_secs(8), ..Manner::default() };
    let worker = house.worker(manner()).await;
    // All that this tenant may have under way hang.
    let deadline = Instant::now() + Duration::from_secs(10);
    while *at_once.lock().unwrap() < 4 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let neighbour = house.neighbour().await;
    neighbour.endpoint(&good.url).await;
    let begun = Instant::now();
    neighbour.book(None, 0).await;
    good.called(1).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(*most.lock().unwrap(), 4, "a quarter of the senders");
    released.store(true, Ordering::SeqCst);
    house.settled().await;
    worker.stop().await;
}

/// One endpoint of a salon hangs, with more waiting than the salon may have under way.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_leaves_room_for_the_others_of_its_tenant() {
    let house = House::build().await;
    let released = Arc::new(AtomicBool::new(false));
    let release = released.clone();
    let hanging = Receiver::start(move |_, _| {
        while !release.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        (200, String::new())
    });
    let good = Receiver::that_answers(200);
    house.endpoint(&hanging.url).await;
    for number in 0..18 {
        house.book(None, number).await;
    }
    let worker = house.worker(Manner { call_timeout: Duration::from_secs(8), ..Manner::default() }).await;
    house.in_state("waiting", 18).await;
    house.endpoint(&good.url).await;
    let begun = Instant::now();
    house.book(None, 18).await;
    good.called(1).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    released.store(true, Ordering::SeqCst);
    house.settled().await;
    worker.stop().await;
}

/// A mail server that hangs has its own senders.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_hangs_holds_up_no_webhook() {
    let house = House::build().await;
    let (hanging, good) = (super::smtp::Scripted::that_hangs_at(""), Receiver::that_answers(200));
    house.endpoint(&good.url).await;
    let customer = house.customer("zoe@example.ch").await;
    let manner = Manner { smtp_port: Some(hanging.port), senders: 4, ..Manner::default() };
    let worker = house.worker(manner).await;
    let begun = Instant::now();
    for number in 0..8 {
        house.book(Some(customer), number).await;
    }
    good.called(8).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    worker.stop().await;
}

/// What was sent while the database hiccups is recorded when it is back, and not sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_hiccup_of_the_database_sends_nothing_twice() {
    let house = House::build().await;
    let entered = Arc::new(AtomicBool::new(false));
    let entering = entered.clone();
    let receiver = Receiver::start(move |_, before| {
        entering.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(if before == 0 { 600 } else { 0 }));
        (200, String::new())
    });
    house.endpoint(&receiver.url).await;
    let worker = house.worker(Manner::default()).await;
    house.book(None, 0).await;
    while !entered.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // For the role alone: the test itself goes on reading.
    let grants = |what: &str| format!("{what} codeccloud_outbox");
    house.rows.batch_execute(&grants("REVOKE UPDATE ON outbox_deliveries FROM")).await.unwrap();
    receiver.called(1).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    house.rows.batch_execute(&grants("GRANT UPDATE ON outbox_deliveries TO")).await.unwrap();
    house.settled().await;
    assert_eq!(receiver.calls().len(), 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_read_is_not_the_receivers_failure() {
    let house = House::build().await;
    let receiver = Receiver::start(|_, before| (if before == 0 { 500 } else { 200 }, String::new()));
    house.endpoint(&receiver.url).await;
    let second = Duration::from_secs(1);
    let schedule = codeccloud::outbox::Schedule::Fixed(vec![second]);
    let worker = house.worker(Manner { schedule, ..Manner::default() }).await;
    house.book(None, 0).await;
    receiver.called(1).await;
    house.rows.batch_execute("REVOKE SELECT ON webhook_endpoints FROM codeccloud_outbox").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while house.deliveries().await[0]["reason"] != "the endpoint can't be read" {
        assert!(Instant::now() < deadline, "{:?}", house.deliveries().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(house.deliveries().await[0]["attempts"], json!(1), "given back");
    house.rows.batch_execute("GRANT SELECT ON webhook_endpoints TO codeccloud_outbox").await.unwrap();
    let done = house.in_state("done", 1).await;
    assert_eq!(done[0]["attempts"], json!(2), "the last that there was");
    worker.stop().await;
}
