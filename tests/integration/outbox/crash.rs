//! kill -9 of a real server between a call and the mark that it was made: it is made again, under the same id.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::json;

use crate::support::receiver::Receiver;
use crate::support::{Server, TestDir, connect, key};

/// The shortest lease that goes with a call's timeout.
const QUICK: [(&str, &str); 4] = [
    ("CODECCLOUD_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES", "on"),
    ("CODECCLOUD_WEBHOOKS_TIMEOUT_SECONDS", "1"),
    ("CODECCLOUD_OUTBOX_LEASE_SECONDS", "6"),
    ("CODECCLOUD_OUTBOX_POLL_MS", "50"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_not_marked_is_sent_again_under_its_id() {
    let dir = TestDir::new();
    let mut server = Server::start_with(dir.path(), &QUICK);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let held = Arc::new(AtomicBool::new(true));
    let holding = held.clone();
    let receiver = Receiver::start(move |_, _| {
        if holding.load(Ordering::SeqCst) {
            // Until the server that called is gone: what it is answered, it never hears.
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        (200, String::new())
    });
    let body = json!({ "url": receiver.url, "eventTypes": ["booking.scheduled"] });
    let created = server.send(Method::POST, &manager, "/v1/webhooks", Some(&key()), Some(&body)).await.unwrap();
    assert_eq!(created.status, 201, "{}", created.text);

    let booked = format!(
        "INSERT INTO appointments (tenant_id, code, staff_id, status, slot_start, slot_end) \
         SELECT '{}', 'CRASH', '{}', 'scheduled', now() + interval '1 day', now() + interval '25 hours'",
        salon.tenant_id, salon.staff_ids[0]
    );
    let url = superuser_url(dir.path());
    connect(&url).await.batch_execute(&booked).await.unwrap();
    let killed_at = loop {
        // The call has arrived once it is recorded; the answer is still being held.
        let sql = "SELECT attempts FROM outbox_deliveries WHERE lease_id IS NOT NULL";
        if connect(&url).await.query_opt(sql, &[]).await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            server.kill_9();
            break std::time::Instant::now();
        }
    };
    let first = receiver.called(1).await.remove(0);
    held.store(false, Ordering::SeqCst);
    let server = Server::start_with(dir.path(), &QUICK);
    server.ready().await;
    let calls = receiver.called(2).await;
    assert_eq!((calls[1].id(), &calls[1].body), (first.id(), &first.body));
    assert!(calls[1].at > killed_at);
    let sql = "SELECT count(*) FROM outbox_deliveries WHERE state = 'done' AND attempts = 2";
    let superuser = connect(&superuser_url(dir.path())).await;
    while superuser.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(receiver.calls().len(), 2);
    server.stop();
}

fn superuser_url(data_dir: &std::path::Path) -> String {
    crate::support::output(data_dir, &["database", "url", "--superuser"]).trim().to_owned()
}
