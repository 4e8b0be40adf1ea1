//! What a client sends wrong, row by row of the contract.

use actix_web::test::TestRequest;
use codeccloud_actors::aggregates::staff_utilisation::StaffRefusal;
use codeccloud_actors::ids::Version;
use codeccloud_actors::refusal::Refusal;
use codeccloud_actors::sagas::booking::BookingRefusal;
use serde_json::{Value, json};

use super::house::{House, Mood};
use super::{BOOKING, KEY, as_role, booking_with, door, get, new_booking, post, send, send_all};

#[actix_web::test]
async fn fields_that_are_not_as_they_should_be_are_named() {
    let rows: [(&str, Value, &str); 19] = [
        ("slotEnd", json!("2027-03-01T09:00:00Z"), "slotEnd"),
        ("slotEnd", json!("2027-03-01T08:00:00Z"), "slotEnd"),
        ("slotStart", json!("2027-03-01T10:00:00"), "slotStart"),
        ("slotStart", json!(17), "slotStart"),
        ("slotStart", Value::Null, "slotStart"),
        ("staffId", json!("anna"), "staffId"),
        ("price/amount", json!(-1), "price.amount"),
        ("price/amount", json!(3_000_000_000_i64), "price.amount"),
        ("price/amount", json!(80.5), "price.amount"),
        ("price/amount", Value::Null, "price.amount"),
        ("price/currency", json!("USD"), "price.currency"),
        ("customer/email", json!("anna"), "customer.email"),
        ("customer/email", json!("a b@example.ch"), "customer.email"),
        ("customer/firstName", json!(" "), "customer.firstName"),
        ("customer/lastName", json!("x".repeat(101)), "customer.lastName"),
        ("customer/phone", json!("1".repeat(41)), "customer.phone"),
        ("customer", json!("anna"), "customer"),
        ("notes", json!("x".repeat(2_001)), "notes"),
        ("notes", json!(["x"]), "notes"),
    ];
    let house = House::that(Mood::Accepts);
    for (path, value, field) in rows {
        let reply = send(&house, post("/v1/bookings", &booking_with(path, value))).await;
        assert_eq!(reply.problem(422, "validation-error"), [field]);
    }
    assert!(house.seen().is_empty(), "nothing came as far as a command");
}

#[actix_web::test]
async fn all_errors_of_a_form_come_together() {
    let mut body = booking_with("customer/email", json!("anna"));
    body["price"]["amount"] = json!(-5);
    body["slotEnd"] = json!("2027-03-01T07:00:00Z");
    let reply = send(&House::that(Mood::Accepts), post("/v1/bookings", &body)).await;
    assert_eq!(reply.problem(422, "validation-error"), ["slotEnd", "price.amount", "customer.email"]);
}

#[actix_web::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let house = House::that(Mood::Accepts);
    let raw = |content_type: &str, body: String| {
        let request = as_role(TestRequest::post().uri("/v1/bookings"), "owner").insert_header(("idempotency-key", KEY));
        request.insert_header(("content-type", content_type)).set_payload(body)
    };
    let json = "application/json";
    let large = booking_with("notes", json!("x".repeat(64 * 1024))).to_string();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32));
    let requests = [
        (raw(json, large), 413, "payload-too-large"),
        (raw("text/plain", new_booking().to_string()), 415, "unsupported-media-type"),
        (raw("application/x-www-form-urlencoded", "a=b".to_owned()), 415, "unsupported-media-type"),
        (raw(json, "{\"a\":".to_owned()), 400, "bad-request"),
        (raw(json, String::new()), 400, "bad-request"),
        (raw(json, format!("{} x", new_booking())), 400, "bad-request"),
        (raw(json, deep), 400, "bad-request"),
        (raw(json, "[1, 2]".to_owned()), 422, "validation-error"),
    ];
    for (request, status, slug) in requests {
        send(&house, request).await.problem(status, slug);
    }
    assert!(house.seen().is_empty());
    let reply = send(&house, raw("application/json; charset=utf-8", new_booking().to_string())).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

/// A call that says all by its path has no body to be wrong; what comes along is JSON, of whatever kind.
#[actix_web::test]
async fn a_body_that_nobody_reads_may_be_any_json() {
    let house = House::that(Mood::Accepts);
    let uri = format!("/v1/bookings/{BOOKING}/confirm");
    let raw = |body: &str| post(&uri, &json!({})).set_payload(body.to_owned());
    for body in ["", "{}", "[1]", "null", "\"x\""] {
        let reply = send(&house, raw(body)).await;
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
    }
    send(&house, raw("{\"a\":")).await.problem(400, "bad-request");
    send(&house, raw(&"[".repeat(33))).await.problem(400, "bad-request");
}

#[actix_web::test]
async fn queries_are_checked_like_bodies() {
    let good = "/v1/bookings/availability?serviceId=00000000-0000-0000-0000-000000000051";
    let days = |from: &str, to: &str| format!("{good}&from={from}&to={to}");
    let house = House::that(Mood::Accepts);
    let rows = [
        (days("2027-03-01T00:00:00Z", "2027-02-01T00:00:00Z"), "to"),
        (days("2027-03-01T00:00:00Z", "2027-06-01T00:00:01Z"), "to"),
        (days("2027-03-01T00:00:00", "2027-03-02T00:00:00Z"), "from"),
        (format!("{good}&to=2027-03-02T00:00:00Z"), "from"),
        (days("2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z") + "&granularityMinutes=0", "granularityMinutes"),
        (days("2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z") + "&granularityMinutes=481", "granularityMinutes"),
        (days("2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z") + "&granularityMinutes=x", "granularityMinutes"),
        (days("2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z") + "&staffId=bea", "staffId"),
        ("/v1/bookings?limit=201".to_owned(), "limit"),
        ("/v1/bookings?limit=0".to_owned(), "limit"),
        ("/v1/bookings?status=gone".to_owned(), "status"),
        ("/v1/bookings?cursor=x".to_owned(), "cursor"),
        ("/v1/services?cursor=x".to_owned(), "cursor"),
    ];
    for (uri, field) in rows {
        assert_eq!(send(&house, get(&uri)).await.problem(422, "validation-error"), [field], "{uri}");
    }
    assert!(house.seen().is_empty());
    let uri = days("2027-03-01T00:00:00%2B01:00", "2027-06-01T00:00:00%2B01:00") + "&granularityMinutes=&more=1";
    assert_eq!(send(&house, get(&uri)).await.status, 200, "92 days are allowed");
    assert!(house.seen()[0].contains("granularity_minutes: 15"), "{:?}", house.seen());
}

#[actix_web::test]
async fn a_booking_in_the_body_is_the_one_in_the_path() {
    let house = House::that(Mood::Accepts);
    for action in ["reschedule", "cancel"] {
        let other = json!({
            "bookingId": "00000000-0000-0000-0000-000000000001",
            "slotStart": "2027-03-01T10:00:00Z", "slotEnd": "2027-03-01T11:00:00Z",
        });
        let reply = send(&house, post(&format!("/v1/bookings/{BOOKING}/{action}"), &other)).await;
        reply.problem(400, "bad-request");
    }
    let long = json!({ "bookingId": BOOKING, "reason": "x".repeat(501) });
    let reply = send(&house, post(&format!("/v1/bookings/{BOOKING}/cancel"), &long)).await;
    assert_eq!(reply.problem(422, "validation-error"), ["reason"]);
}

#[actix_web::test]
async fn what_the_domain_refuses_has_its_status() {
    let invalid = Refusal::Invalid { field: "slotStart", message: "must not lie in the past".to_owned() };
    let mismatch = Refusal::VersionMismatch { expected: Version(2), current: Version(3) };
    let rows = [
        (Refusal::Staff(StaffRefusal::SlotTaken), 409, "conflict", "the slot is taken"),
        (Refusal::Staff(StaffRefusal::OutsideWorkingHours), 409, "conflict", "the slot lies outside working hours"),
        (Refusal::Booking(BookingRefusal::AlreadyExists), 409, "conflict", "the booking exists already"),
        (Refusal::Booking(BookingRefusal::NotOwnCustomer), 403, "forbidden", "a customer books only for themselves"),
        (Refusal::NotFound("service"), 404, "not-found", "service not found"),
        (invalid, 422, "validation-error", "the request is not valid: slotStart"),
        (mismatch, 412, "precondition-failed", "it has changed since: version 3 is current, not 2"),
    ];
    for (refusal, status, slug, detail) in rows {
        let fields = matches!(refusal, Refusal::Invalid { .. }).then(|| "slotStart".to_owned());
        let reply = send(&House::that(Mood::Refuses(refusal)), post("/v1/bookings", &new_booking())).await;
        assert_eq!(reply.problem(status, slug), Vec::from_iter(fields));
        assert_eq!(reply.json()["detail"], detail);
        assert_eq!(reply.header("x-idempotent-replay"), Some("false"));
    }
}

#[actix_web::test]
async fn ids_that_are_none_name_nothing() {
    let uris = ["/v1/bookings/7", "/v1/customers/anna", "/v1/services/x", "/v1/loyalty/x/history", "/v1/nothing", "/"];
    let requests = uris.iter().map(|uri| get(uri)).collect();
    for reply in send_all(door(&House::that(Mood::Accepts)), requests).await {
        reply.problem(404, "not-found");
    }
}
