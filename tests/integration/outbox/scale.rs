//! A real server, to the end: in both modes what is booked over HTTP is told, and the metrics say so.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::Receiver;
use crate::support::{Mode, TestDir, connect, in_both_modes, key, output};

in_both_modes!(what_is_booked_over_http_is_told);

/// A minute: who is called at once was woken.
const SLOW_POLL: [(&str, &str); 2] =
    [("CODECCLOUD_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES", "on"), ("CODECCLOUD_OUTBOX_POLL_MS", "60000")];

async fn what_is_booked_over_http_is_told(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start_with(dir.path(), &SLOW_POLL);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let metrics = async || server.get(&salon, "/metrics").await.text;
    let value = |metrics: &str, line: &str| {
        let found = metrics.lines().find_map(|other| other.strip_prefix(line)?.trim().parse::<f64>().ok());
        found.unwrap_or_else(|| panic!("no {line} in {metrics}"))
    };
    for handler in ["email", "webhook"] {
        let dead = format!("codeccloud_outbox_dead_letters_total{{handler=\"{handler}\"}}");
        assert!(value(&metrics().await, &dead).abs() < f64::EPSILON, "there from the start");
    }

    let receiver = Receiver::that_answers(200);
    let body = json!({ "url": receiver.url, "eventTypes": [] });
    let created = server.send(Method::POST, &manager, "/v1/webhooks", Some(&key()), Some(&body)).await.unwrap();
    assert_eq!(created.status, 201, "{}", created.text);
    let booked = server.post(&salon, "/v1/bookings", &key(), &salon.booking(0, 3, 1)).await;
    assert_eq!(booked.status, 201, "{}", booked.text);
    let id = booked.json()["booking"]["id"].as_str().unwrap().to_owned();
    receiver.called(1).await;
    let confirmed = format!("/v1/bookings/{id}/confirm");
    let confirmed =
        server.send(Method::POST, &manager, &confirmed, Some(&key()), Some(&json!({ "bookingId": id }))).await.unwrap();
    assert!(confirmed.status < 300, "{}", confirmed.text);
    let calls = receiver.called(2).await;
    let told: Vec<_> = calls.iter().map(|call| call.event()).collect();
    assert_eq!(told, [(id.clone(), "scheduled".to_owned()), (id.clone(), "confirmed".to_owned())]);

    let superuser = connect(output(dir.path(), &["database", "url", "--superuser"]).trim()).await;
    let unmarked = "SELECT count(*) FROM outbox_events WHERE processed_at IS NULL";
    while superuser.query_one(unmarked, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // An address that no endpoint may have is given up at once.
    superuser.batch_execute("UPDATE webhook_endpoints SET url = 'ftp://example.ch/'").await.unwrap();
    let path = format!("/v1/bookings/{id}/cancel");
    let body: Value = json!({ "bookingId": id, "reason": "ill" });
    let cancelled = server.send(Method::POST, &manager, &path, Some(&key()), Some(&body)).await.unwrap();
    assert!(cancelled.status < 300, "{}", cancelled.text);
    let dead = "SELECT FROM outbox_deliveries WHERE state = 'dead'";
    while superuser.query(dead, &[]).await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    loop {
        // The gauges are looked at every five seconds.
        let now = metrics().await;
        if value(&now, "codeccloud_outbox_dead_letters ") > 0.0 {
            assert!(value(&now, "codeccloud_outbox_attempts_total{handler=\"webhook\",outcome=\"done\"}") > 1.0);
            assert!(value(&now, "codeccloud_outbox_dead_letters_total{handler=\"webhook\"}") > 0.0);
            assert!(value(&now, "codeccloud_outbox_entries ") > 0.0);
            assert!(value(&now, "codeccloud_outbox_oldest_age_seconds ").abs() < f64::EPSILON);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    server.stop();
}
