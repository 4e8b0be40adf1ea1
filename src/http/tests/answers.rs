//! Bodies of bookings, field by field.

use serde_json::{Value, json};

use super::house::{House, Mood};
use super::{BOOKING, CUSTOMER, get, new_booking, post, send};

fn booking() -> Value {
    json!({
        "id": BOOKING,
        "tenantId": "00000000-0000-0000-0000-00000000007e",
        "serviceId": "00000000-0000-0000-0000-000000000051",
        "staffId": "00000000-0000-0000-0000-00000000000a",
        "customer": {
            "id": CUSTOMER, "email": "anna@example.ch", "phone": "+41 79 000 00 00",
            "firstName": "Anna", "lastName": "Muster",
        },
        "slotStart": "2027-03-01T09:00:00.000Z",
        "slotEnd": "2027-03-01T10:00:00.000Z",
        "status": "scheduled",
        "price": { "currency": "CHF", "amount": 8000 },
        "createdAt": "2027-02-01T09:00:00.000Z",
        "updatedAt": "2027-02-02T09:00:00.000Z",
        "rescheduledFromId": null,
        "cancellationReason": null,
    })
}

#[actix_web::test]
async fn a_new_booking_is_answered_whole() {
    let house = House::that(Mood::Accepts);
    let reply = send(&house, post("/v1/bookings", &new_booking())).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let id = reply.json()["booking"]["id"].clone();
    let expected = json!({ "id": id });
    let mut booking = booking();
    booking["id"] = expected["id"].clone();
    assert_eq!(reply.json(), json!({ "booking": booking, "outboxEventId": "00000000-0000-0000-0000-00000000000e" }));
    assert!(house.seen()[0].contains("start: 2027-03-01T09:00:00.000Z, end: 2027-03-01T10:00:00.000Z"));
}

#[actix_web::test]
async fn a_moved_booking_keeps_its_id_and_says_so() {
    let body = json!({
        "bookingId": BOOKING, "slotStart": "2027-03-02T09:00:00Z", "slotEnd": "2027-03-02T10:00:00Z", "reason": "ill",
    });
    let uri = format!("/v1/bookings/{BOOKING}/reschedule");
    let house = House::that(Mood::Accepts);
    let reply = send(&house, post(&uri, &body)).await;
    assert_eq!(reply.status, 200);
    assert!(house.seen()[0].contains("with RescheduleReason ill"), "{:?}", house.seen());
    let booking = &reply.json()["booking"];
    assert_eq!(booking["id"], BOOKING);
    assert_eq!(booking["rescheduledFromId"], BOOKING);
    assert_eq!(booking["status"], "rescheduled");
    // What the vault no longer knows is null; the id stays.
    let erased = json!({ "id": CUSTOMER, "email": null, "phone": null, "firstName": null, "lastName": null });
    assert_eq!(booking["customer"], erased);
}

#[actix_web::test]
async fn a_cancelled_booking_has_its_reason() {
    let house = House::that(Mood::Accepts);
    let body = json!({ "bookingId": BOOKING, "reason": "ill" });
    let reply = send(&house, post(&format!("/v1/bookings/{BOOKING}/cancel"), &body)).await;
    assert_eq!(reply.json()["booking"]["cancellationReason"], "ill");
    assert_eq!(reply.json()["booking"]["status"], "cancelled");
    assert!(house.seen()[0].contains("waive_fee: false, reason_recorded: true"), "{:?}", house.seen());
}

#[actix_web::test]
async fn steps_without_a_body_need_none() {
    let house = House::that(Mood::Accepts);
    for step in ["confirm", "check-in", "complete", "no-show"] {
        let uri = format!("/v1/bookings/{BOOKING}/{step}");
        assert_eq!(send(&house, post(&uri, &json!({ "bookingId": BOOKING }))).await.status, 200);
        let bare = super::as_role(actix_web::test::TestRequest::post().uri(&uri), "staff");
        assert_eq!(send(&house, bare.insert_header(("idempotency-key", super::KEY))).await.status, 200);
        let broken = post(&uri, &json!({})).set_payload("{");
        send(&house, broken).await.problem(400, "bad-request");
    }
}

#[actix_web::test]
async fn lists_are_bare_and_searches_are_not() {
    let house = House::that(Mood::Accepts);
    let mut listed = booking();
    listed["cancellationReason"] = json!("ill");
    let list =
        send(&house, get("/v1/bookings?status=rescheduled&cursor=0.00000000-0000-0000-0000-000000000001&limit=1"))
            .await;
    assert_eq!(list.json(), json!([listed]));
    let cursor = format!("1803891600000.{BOOKING}");
    let next = format!("</v1/bookings?status=rescheduled&limit=1&cursor={cursor}>; rel=\"next\"");
    assert_eq!(list.header("link"), Some(next.as_str()));
    assert!(house.seen()[0].contains("statuses: [Scheduled], moved: Some(true)"), "{:?}", house.seen());

    let search = send(&house, get(&format!("/v1/bookings/search?order=desc&cursor={cursor}"))).await;
    assert_eq!(search.json(), json!({ "data": [listed], "nextCursor": cursor }));
    assert!(house.seen()[1].contains("LatestFirst"), "{:?}", house.seen());
    assert!(house.seen()[1].contains("after: Some((2027-03-01T09:00:00.000Z"), "{:?}", house.seen());
    assert_eq!(send(&house, get(&format!("/v1/bookings/{BOOKING}"))).await.json(), listed);
}

#[actix_web::test]
async fn availability_lists_slots() {
    let uri = "/v1/bookings/availability?serviceId=00000000-0000-0000-0000-000000000051\
               &from=2027-03-01T00:00:00Z&to=2027-03-02T00:00:00Z";
    let reply = send(&House::that(Mood::Accepts), get(uri)).await;
    let slot = json!({
        "slotStart": "2027-03-01T09:00:00.000Z", "slotEnd": "2027-03-01T10:00:00.000Z",
        "serviceId": "00000000-0000-0000-0000-000000000051", "staffId": "00000000-0000-0000-0000-00000000000a",
    });
    assert_eq!(reply.json(), json!({ "slots": [slot] }));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}
