//! Reads whose model is late: somebody's transaction holds the feed, or the model has not caught up since the start. A front-end
//! notices neither.

use codeccloud::postgres::embedded::superuser_url_of;
use serde_json::{Value, json};

use crate::support::{Mode, Salon, Server, TestDir, connect, in_both_modes, key};

in_both_modes!(
    a_booking_shows_at_once_though_a_transaction_is_left_open,
    a_server_that_has_not_caught_up_answers_from_what_is_committed,
);

async fn a_booking_shows_at_once_though_a_transaction_is_left_open(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let open = connect(&superuser_url_of(dir.path()).unwrap()).await;
    open.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    let booking = manager.booking(0, 0, 0);
    let booked = server.post(&manager, "/v1/bookings", &key(), &booking).await;
    assert_eq!(booked.status, 201, "{}", booked.text);
    let booked = booked.json()["booking"].clone();
    is_seen(&server, &manager, &booked).await;
    let path = format!("/v1/bookings/{}/cancel", booked["id"].as_str().unwrap());
    let cancelled = server.post(&manager, &path, &key(), &json!({ "bookingId": booked["id"] })).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    assert_eq!(read(&server, &manager, "/v1/bookings").await[0]["status"], "cancelled");
    open.batch_execute("COMMIT").await.unwrap();
    assert_eq!(read(&server, &manager, "/v1/bookings").await[0]["status"], "cancelled");
}

async fn a_server_that_has_not_caught_up_answers_from_what_is_committed(mode: Mode) {
    let dir = TestDir::new();
    let mut server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let booked = server.post(&manager, "/v1/bookings", &key(), &manager.booking(0, 0, 0)).await;
    assert_eq!(booked.status, 201, "{}", booked.text);
    let psql = connect(&superuser_url_of(dir.path()).unwrap()).await;
    psql.batch_execute("REVOKE SELECT ON event_store FROM codeccloud_reader").await.unwrap();
    server.kill_9();
    let server = mode.start(dir.path());
    let ready = server.client.get(format!("{}/health/ready", server.url)).send().await.unwrap();
    assert_eq!(ready.status(), 503, "no model is live");
    is_seen(&server, &manager, &booked.json()["booking"]).await;
}

/// Wherever a booking of the first person's on 2031-06-02 shows, and it is the only one.
async fn is_seen(server: &Server, salon: &Salon, booked: &Value) {
    let id = booked["id"].as_str().unwrap();
    assert_eq!(read(server, salon, "/v1/bookings").await[0]["id"], id);
    assert_eq!(read(server, salon, &format!("/v1/bookings/{id}")).await["slotStart"], booked["slotStart"]);
    let (service, staff) = (&salon.service_id, &salon.staff_ids[0]);
    let day = "from=2031-06-02T00:00:00Z&to=2031-06-03T00:00:00Z";
    let free = format!("/v1/bookings/availability?serviceId={service}&staffId={staff}&{day}");
    let free = read(server, salon, &free).await;
    let free = free["slots"].as_array().unwrap();
    assert!(!free.is_empty() && free.iter().all(|slot| slot["slotStart"] != booked["slotStart"]), "{free:?}");
    let day = "from=2031-06-02&to=2031-06-02";
    let dashboard = read(server, salon, &format!("/v1/admin/dashboard?{day}")).await;
    assert_eq!((&dashboard["bookings"], &dashboard["bookedCents"]), (&json!(1), &booked["price"]["amount"]));
    let minutes = read(server, salon, &format!("/v1/staff/{staff}/utilisation?{day}")).await;
    assert_eq!(minutes["data"][0]["bookedMinutes"], json!(salon.duration_minutes));
}

async fn read(server: &Server, salon: &Salon, path: &str) -> Value {
    let reply = server.get(salon, path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    reply.json()
}
