//! Booking through the door of a real server.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Mode, Reply, Server, TestDir, connect, in_both_modes, key};

in_both_modes!(
    a_booking_is_made_seen_moved_completed_and_earns_points,
    of_a_thousand_requests_for_one_slot_one_books,
    one_key_a_hundred_times_books_once_also_after_a_crash,
    two_servers_on_one_database_never_book_a_slot_twice,
    two_servers_change_the_same_customer_one_after_the_other,
    personal_data_is_nowhere_but_in_the_vault_and_there_encrypted
);

async fn a_booking_is_made_seen_moved_completed_and_earns_points(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let body = salon.booking(0, 0, 0);

    let created = server.post(&salon, "/v1/bookings", &key(), &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(created.replayed.as_deref(), Some("false"));
    let booking = created.json()["booking"].clone();
    assert_eq!((&booking["status"], &booking["customer"]["email"]), (&json!("scheduled"), &json!("anna@example.ch")));
    let path = format!("/v1/bookings/{}", booking["id"].as_str().unwrap());

    // The same user's read sees the write at once.
    assert_eq!(server.get(&salon, &path).await.json()["id"], booking["id"]);
    let taken = server.post(&salon, "/v1/bookings", &key(), &body).await;
    assert_eq!(taken.status, 409, "{}", taken.text);
    assert!(taken.json()["detail"].as_str().unwrap().contains("taken"));

    let later = salon.booking(0, 0, 3);
    let moving = json!({ "bookingId": booking["id"], "slotStart": later["slotStart"], "slotEnd": later["slotEnd"] });
    let moved = server.post(&salon, &format!("{path}/reschedule"), &key(), &moving).await;
    assert_eq!((moved.status, &moved.json()["booking"]["status"]), (200, &json!("rescheduled")), "{}", moved.text);
    assert_eq!(moved.json()["booking"]["rescheduledFromId"], booking["id"]);
    // Its old slot is free again.
    assert_eq!(server.post(&salon, "/v1/bookings", &key(), &body).await.status, 201);

    let staff = server.member_of(&salon, dir.path(), "owner").await;
    for (step, status) in [("check-in", "checked_in"), ("complete", "completed")] {
        let answer =
            server.post(&staff, &format!("{path}/{step}"), &key(), &json!({ "bookingId": booking["id"] })).await;
        assert_eq!((answer.status, &answer.json()["booking"]["status"]), (200, &json!(status)), "{}", answer.text);
    }
    let customer = booking["customer"]["id"].as_str().unwrap();
    let points = server.get(&staff, &format!("/v1/loyalty/{customer}")).await.json();
    let francs = salon.price["amount"].as_i64().unwrap() / 100;
    assert_eq!(points["balance"], json!(francs), "{points}");
    let cancelled =
        server.post(&staff, &format!("{path}/cancel"), &key(), &json!({ "bookingId": booking["id"] })).await;
    assert_eq!(cancelled.status, 409, "{}", cancelled.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_long_past_that_is_moved_is_listed_again() {
    let dir = TestDir::new();
    let mut server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let created = server.post(&salon, "/v1/bookings", &key(), &salon.booking(0, 0, 0)).await.json();
    let id = created["booking"]["id"].as_str().unwrap();
    make_it_long_past(dir.path(), id).await;
    server.kill_9();
    let server = Server::start(dir.path());
    server.ready().await;
    // A later booking makes the read model let go of the old one.
    assert_eq!(server.post(&salon, "/v1/bookings", &key(), &salon.booking(0, 0, 6)).await.status, 201);

    let later = salon.booking(0, 0, 3);
    let moving = json!({ "bookingId": id, "slotStart": later["slotStart"], "slotEnd": later["slotEnd"] });
    let moved = server.post(&salon, &format!("/v1/bookings/{id}/reschedule"), &key(), &moving).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    let customer = created["booking"]["customer"]["id"].as_str().unwrap();
    for (question, expected) in [
        ("from=2031-01-01T00:00:00Z", 2),
        ("from=2031-01-01T00:00:00Z&order=desc", 2),
        (&format!("customerId={customer}"), 1),
        (&format!("staffId={}&status=rescheduled", salon.staff_ids[0]), 1),
        ("status=cancelled", 0),
        ("to=2031-01-01T00:00:00Z", 0),
    ] {
        let found = server.get(&salon, &format!("/v1/bookings/search?{question}")).await.json();
        let found = found["data"].as_array().unwrap().clone();
        assert_eq!(found.len(), expected, "{question}: {found:?}");
        let starts: Vec<&str> = found.iter().map(|booking| booking["slotStart"].as_str().unwrap()).collect();
        let in_order = if question.contains("desc") { starts.is_sorted_by(|a, b| a > b) } else { starts.is_sorted() };
        assert!(in_order, "{question}: {starts:?}");
    }
    let cancelling = json!({ "bookingId": id });
    assert_eq!(server.post(&salon, &format!("/v1/bookings/{id}/cancel"), &key(), &cancelling).await.status, 200);
    let found = server.get(&salon, "/v1/bookings/search?status=cancelled").await.json();
    assert_eq!(found["data"][0]["id"], id, "{found}");
}

/// As if it had been made half a year ago, for a slot a day later, and nothing had happened since.
async fn make_it_long_past(data_dir: &std::path::Path, id: &str) {
    let url = codeccloud::postgres::embedded::url_of(data_dir).unwrap();
    let superuser = connect(&url.replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let slot = "jsonb_build_object('start', to_char(now() - interval '180 days', 'YYYY-MM-DD\"T12:00:00.000Z\"'), \
                'end', to_char(now() - interval '180 days', 'YYYY-MM-DD\"T12:30:00.000Z\"'))";
    let sql = format!(
        "SET session_replication_role = replica; \
         UPDATE event_store SET occurred_at = now() - interval '181 days', payload = jsonb_set(payload, '{{slot}}', {slot}) \
         WHERE aggregate_id = '{id}' OR payload ->> 'booking_id' = '{id}'; \
         UPDATE saga_instances SET state = state || jsonb_build_object('slotStart', {slot} -> 'start', 'slotEnd', {slot} -> 'end') \
         WHERE saga_id = '{id}'; \
         SELECT app_private.create_appointments_partition((now() - interval '180 days')::date); \
         UPDATE appointments SET slot_start = ({slot} ->> 'start')::timestamptz, slot_end = ({slot} ->> 'end')::timestamptz, \
             slot = tstzrange(({slot} ->> 'start')::timestamptz, ({slot} ->> 'end')::timestamptz) WHERE id = '{id}'"
    );
    superuser.batch_execute(&sql).await.unwrap();
}

async fn of_a_thousand_requests_for_one_slot_one_books(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let body = salon.booking(1, 1, 2);
    let replies = join_all((0..1_000).map(|_| {
        let (server, salon, body) = (&server, &salon, &body);
        async move { server.post(salon, "/v1/bookings", &key(), body).await.status }
    }))
    .await;
    let count = |status: u16| replies.iter().filter(|reply| **reply == status).count();
    assert_eq!((count(201), count(409)), (1, 999));
}

async fn one_key_a_hundred_times_books_once_also_after_a_crash(mode: Mode) {
    let dir = TestDir::new();
    let mut server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let (body, key) = (salon.booking(2, 1, 4), key());
    let replies: Vec<Reply> = join_all((0..100).map(|_| server.post(&salon, "/v1/bookings", &key, &body))).await;
    let bodies: HashSet<&str> = replies.iter().map(|reply| reply.text.as_str()).collect();
    assert!(replies.iter().all(|reply| reply.status == 201), "{replies:?}");
    assert_eq!(bodies.len(), 1);
    let first = replies.iter().filter(|reply| reply.replayed.as_deref() == Some("false")).count();
    assert_eq!(first, 1);

    server.kill_9();
    let server = mode.start(dir.path());
    server.ready().await;
    let replayed = server.post(&salon, "/v1/bookings", &key, &body).await;
    assert_eq!((replayed.status, replayed.replayed.as_deref()), (201, Some("true")), "{}", replayed.text);
    assert_eq!(replayed.text, replies[0].text);
    let other = server.post(&salon, "/v1/bookings", &key, &salon.booking(2, 1, 6)).await;
    assert_eq!(other.status, 409);
    assert!(other.json()["type"].as_str().unwrap().ends_with("idempotency-conflict"));
}

async fn two_servers_on_one_database_never_book_a_slot_twice(mode: Mode) {
    let dir = TestDir::new();
    let first = mode.start(dir.path());
    first.ready().await;
    let salon = first.salon(dir.path()).await;
    let url = codeccloud::postgres::embedded::url_of(dir.path()).unwrap();
    let second = Server::beside(&url, dir.path());
    second.ready().await;
    // Both aim at the same slots of the same people, in opposite order.
    let slots: Vec<Value> = (0..48).map(|n| salon.booking(usize::try_from(n % 2).unwrap(), n / 12, n % 12)).collect();
    let through = async |server: &Server, slots: Vec<Value>| {
        join_all(slots.iter().map(|body| {
            let (server, salon) = (server, &salon);
            async move { server.post(salon, "/v1/bookings", &key(), body).await.status }
        }))
        .await
    };
    let reversed: Vec<Value> = slots.iter().rev().cloned().collect();
    let (by_first, mut by_second) = futures_util::join!(through(&first, slots), through(&second, reversed));
    by_second.reverse();
    for (slot, statuses) in by_first.iter().zip(&by_second).enumerate() {
        let statuses = [*statuses.0, *statuses.1];
        assert!(statuses.iter().filter(|status| **status == 201).count() <= 1, "slot {slot}: {statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "slot {slot}: {statuses:?}");
    }
    let booked = by_first.iter().chain(&by_second).filter(|status| **status == 201).count();
    assert_eq!(booked, 48, "each slot once");

    let store = connect(&url.replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let number = async |sql: &str| store.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    let off = "SELECT count(*) FROM (SELECT tenant_id, aggregate_type, aggregate_id, count(*) events, min(version) first, \
               max(version) last, (array_agg(id ORDER BY version DESC))[1] id FROM event_store GROUP BY 1, 2, 3) s \
               FULL JOIN stream_heads h USING (tenant_id, aggregate_type, aggregate_id) \
               WHERE (first, last, events, id) IS DISTINCT FROM (1, version, version::bigint, last_event_id)";
    assert_eq!(number(off).await, 0, "streams whose versions are not 1..n up to their head");
    let held = "appointments WHERE status = 'scheduled'";
    assert_eq!(number(&format!("SELECT count(*) FROM {held}")).await, 48);
    let overlaps = "SELECT count(*) FROM appointments a JOIN appointments b \
                    ON a.staff_id = b.staff_id AND a.id < b.id AND a.slot && b.slot";
    assert_eq!(number(overlaps).await, 0, "slots of a person that overlap");
    let reserved = "SELECT count(*) FROM event_store WHERE event_type = 'slot_reserved'";
    assert_eq!(number(reserved).await, if mode == Mode::Scale { 48 } else { 0 });
}

/// Each server keeps customers in memory, so the one's picture of a customer is outdated by what the other commits.
async fn two_servers_change_the_same_customer_one_after_the_other(mode: Mode) {
    let dir = TestDir::new();
    let first = mode.start(dir.path());
    first.ready().await;
    let salon = first.salon(dir.path()).await;
    let second = Server::beside(&codeccloud::postgres::embedded::url_of(dir.path()).unwrap(), dir.path());
    second.ready().await;
    let booking = |customer: u128, slot: i64| {
        let mut body = salon.booking(usize::try_from(slot).unwrap(), slot, 0);
        body["customer"]["id"] = json!(Uuid::from_u128(0x5000_8000_0000_0000_0000 + customer));
        body["customer"]["phone"] = json!(format!("+4179000000{slot}"));
        body
    };
    for (slot, server) in [&first, &second, &first, &second].into_iter().enumerate() {
        let body = booking(1, i64::try_from(slot).unwrap());
        let created = server.post(&salon, "/v1/bookings", &key(), &body).await;
        assert_eq!(created.status, 201, "slot {slot}: {}", created.text);
        assert!(created.text.contains(body["customer"]["phone"].as_str().unwrap()), "{}", created.text);
    }
    let at_once = [(&first, 2, 4), (&second, 2, 5), (&first, 1, 6), (&second, 1, 7), (&first, 1, 8), (&second, 1, 9)];
    let created = join_all(at_once.map(|(server, customer, slot)| {
        let (salon, body) = (&salon, booking(customer, slot));
        async move { server.post(salon, "/v1/bookings", &key(), &body).await }
    }))
    .await;
    assert!(created.iter().all(|created| created.status == 201), "{created:?}");
}

async fn personal_data_is_nowhere_but_in_the_vault_and_there_encrypted(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start_logging(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let mut body = salon.booking(0, 2, 1);
    body["customer"]["email"] = json!("zyxmarked@example.ch");
    body["customer"]["firstName"] = json!("Zyxfirst");
    body["customer"]["lastName"] = json!("Zyxlast");
    body["customer"]["phone"] = json!("+41790000zyx");
    body["notes"] = json!("zyxnote about allergies");
    let created = server.post(&salon, "/v1/bookings", &key(), &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert!(created.text.contains("Zyxfirst"));
    let id = created.json()["booking"]["id"].as_str().unwrap().to_owned();
    let cancelling = json!({ "bookingId": id, "reason": "zyxreason" });
    let cancelled = server.post(&salon, &format!("/v1/bookings/{id}/cancel"), &key(), &cancelling).await;
    assert_eq!(cancelled.json()["booking"]["cancellationReason"], "zyxreason", "{}", cancelled.text);
    let metrics = server.client.get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
    assert!(!metrics.to_lowercase().contains("zyx"));
    let log = dir.path().join("server.log");
    assert!(std::fs::read_to_string(log).unwrap().contains("DEBUG"), "it logs all it can");
    // The stop writes snapshots and checkpoints; then every stored byte is read, and every line of the logs.
    assert!(server.stop().as_secs() < 10);
    assert_eq!(files_with(dir.path(), b"zyx"), Vec::<String>::new());
}

fn files_with(directory: &std::path::Path, marker: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, marker));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(marker.len()).any(|window| window.eq_ignore_ascii_case(marker))
        {
            found.push(path.display().to_string());
        }
    }
    found
}
