//! A request repeated, and a change of something that has changed since.

use codeccloud::postgres::embedded::url_of;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{NOWHERE, answer, get, post, request, with};
use crate::support::{Mode, TestDir, connect, in_both_modes, key};

in_both_modes!(a_change_is_made_once_and_from_what_was_seen);

async fn a_change_is_made_once_and_from_what_was_seen(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let key = key();
    let create = |body: Value| {
        let request = request(&server, &salon, Method::POST, "/v1/bookings").header("Content-Type", "application/json");
        let mut request = request.body(body.to_string()).build().unwrap();
        request.headers_mut().insert("Idempotency-Key", key.parse().unwrap());
        RequestBuilder::from_parts(server.client.clone(), request)
    };
    let first = answer(create(salon.booking(0, 0, 0))).await;
    let again = answer(create(salon.booking(0, 0, 0))).await;
    assert_eq!((first.status, first.header("x-idempotent-replay")), (201, Some("false")));
    assert_eq!((again.status, again.header("x-idempotent-replay")), (201, Some("true")));
    assert_eq!(first.body, again.body);
    answer(create(salon.booking(0, 0, 1))).await.problem(409, "idempotency-conflict", "another body");

    let id = first.body["booking"]["id"].as_str().unwrap();
    let path = format!("/v1/bookings/{id}");
    let seen = get(&server, &salon, &path).await.header("etag").unwrap().to_owned();
    let later = salon.booking(0, 0, 3);
    let (start, end) = (&later["slotStart"], &later["slotEnd"]);
    let moving = json!({ "bookingId": id, "slotStart": start, "slotEnd": end, "reason": "Zahnarzt" });
    let reschedule = |tag: &str| {
        let request = request(&server, &salon, Method::POST, &format!("{path}/reschedule"));
        request.header("Content-Type", "application/json").header("If-Match", tag).body(moving.to_string())
    };
    let moved = answer(reschedule(&seen)).await;
    assert_eq!((moved.status, &moved.body["booking"]["rescheduledFromId"]), (200, &json!(id)), "{}", moved.body);
    assert_ne!(moved.header("etag"), Some(seen.as_str()));
    answer(reschedule(&seen)).await.problem(412, "precondition-failed", "seen before the move");
    let other = with(moving.clone(), "/bookingId", json!(NOWHERE));
    post(&server, &salon, &format!("{path}/reschedule"), &other).await.problem(400, "bad-request", "another's id");

    let rows = connect(&url_of(dir.path()).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let kept = "select count(*) from vault_notes where booking_id = $1 and kind = 'reschedule_reason'";
    let id: Uuid = id.parse().unwrap();
    assert_eq!(rows.query_one(kept, &[&id]).await.unwrap().get::<_, i64>(0), 1, "why it was moved is in the vault");

    // One who knows the service as it was must not undo what another has changed since.
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let path = format!("/v1/services/{}", salon.service_id);
    let seen = get(&server, &manager, &path).await.header("etag").unwrap().to_owned();
    let rename = |name: &str| {
        let request = request(&server, &manager, Method::PATCH, &path).header("Content-Type", "application/json");
        request.header("If-Match", &seen).body(json!({ "name": name }).to_string())
    };
    assert_eq!(answer(rename("Bart")).await.status, 200);
    answer(rename("Kinn")).await.problem(412, "precondition-failed", "seen before the change");
}
