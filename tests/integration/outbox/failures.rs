//! What fails is tried again at growing pauses, becomes a dead letter, and is then an operator's.

use std::process::Command;
use std::time::Duration;

use codeccloud::outbox::Schedule;
use serde_json::{Value, json};

use super::house::{House, Manner, quick};
use crate::support::command_on;
use crate::support::receiver::Receiver;

pub fn outbox(house: &House, arguments: &[&str]) -> (bool, String) {
    let mut command: Command = command_on(&house.database.url(), &[]);
    let output = command.arg("outbox").args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

fn listed(house: &House, arguments: &[&str]) -> Vec<Value> {
    let (_, text) = outbox(house, &[&["list", "--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_between_attempts_grow() {
    let house = House::build().await;
    let receiver = Receiver::that_answers(500);
    house.endpoint(&receiver.url).await;
    let schedule = Schedule::Backoff { min: Duration::from_millis(200), max: Duration::from_secs(5), attempts_max: 4 };
    let worker = house.worker(Manner { schedule, ..Manner::default() }).await;
    house.book(None, 0).await;
    let dead = house.in_state("dead", 1).await;
    worker.stop().await;
    let calls = receiver.calls();
    assert_eq!((calls.len(), &dead[0]["attempts"]), (4, &json!(4)));
    for (pair, least) in calls.windows(2).zip([100, 200, 400]) {
        let pause = pair[1].at - pair[0].at;
        assert!(pause >= Duration::from_millis(least), "{pause:?} is less than {least} ms");
    }
    assert!(calls.iter().all(|call| call.id() == calls[0].id() && call.body == calls[0].body), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_retries_and_discards_dead_letters() {
    let house = House::build().await;
    let receiver = Receiver::start(|_, before| (if before < 2 { 500 } else { 200 }, String::new()));
    house.endpoint(&receiver.url).await;
    house.book(None, 0).await;
    house.book(None, 1).await;
    let worker = house.worker(Manner { schedule: quick(1), ..Manner::default() }).await;
    house.in_state("dead", 2).await;
    let dead = listed(&house, &["--state", "dead", "--tenant", "aare"]);
    assert_eq!(dead.len(), 2);
    assert_eq!((&dead[0]["eventType"], &dead[0]["responseStatus"]), (&json!("booking.scheduled"), &json!(500)));

    // The running worker hears of it.
    let first = dead[0]["id"].as_str().unwrap();
    assert_eq!(outbox(&house, &["retry", "--id", first]), (true, "1 deliveries begin anew\n".to_owned()));
    house.in_state("done", 1).await;

    assert!(!outbox(&house, &["discard", "--reason", "x"]).0, "all of them only when asked so");
    let discard = ["discard", "--all", "--reason", "the receiver was replaced"];
    assert_eq!(outbox(&house, &discard), (true, "1 deliveries were discarded\n".to_owned()));
    assert!(!outbox(&house, &discard).0, "there is none left");
    house.settled().await;
    worker.stop().await;
    assert_eq!(listed(&house, &[]), [json!(null); 0]);
    let audited: Value = house
        .rows
        .query_one("SELECT to_jsonb(a) FROM audit_log a WHERE entity = 'outbox_deliveries'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!((&audited["entity_id"], &audited["before"]["state"]), (&dead[1]["id"], &json!("dead")));
    assert_eq!(audited["context"]["reason"], "the receiver was replaced");
    assert_eq!(audited["tenant_id"], json!(house.tenant_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_says_how_long_to_wait() {
    let house = House::build().await;
    let receiver = Receiver::start(|_, before| match before {
        0 => (429, "retry-after: 1\r\n".to_owned()),
        _ => (200, String::new()),
    });
    house.endpoint(&receiver.url).await;
    house.book(None, 0).await;
    let worker = house.worker(Manner::default()).await;
    house.settled().await;
    worker.stop().await;
    let calls = receiver.calls();
    assert!(calls[1].at - calls[0].at >= Duration::from_secs(1));
}
