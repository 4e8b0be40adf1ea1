//! Services, staff, customers and loyalty.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use codeccloud_actors::testing::{BEA, HAIRCUT};
use serde_json::json;

use super::house::{House, Mood};
use super::{CUSTOMER, STRANGER, as_role, get, post, send};

fn put(uri: &str, body: serde_json::Value) -> TestRequest {
    as_role(TestRequest::put().uri(uri), "manager").set_json(body)
}

fn patch(uri: &str, body: serde_json::Value) -> TestRequest {
    as_role(TestRequest::patch().uri(uri), "owner").set_json(body)
}

#[actix_web::test]
async fn services_page_by_name_and_hide_what_is_retired() {
    let mut house = House::new(Mood::Accepts);
    for (service, name) in Arc::make_mut(&mut house.reference).services.values_mut().zip(["C", "A", "B"]) {
        service.name = name.to_owned();
        service.active = name != "B";
    }
    let house = Arc::new(house);
    let names = |reply: &super::Reply| {
        let services = reply.json();
        services
            .as_array()
            .expect("a bare array")
            .iter()
            .map(|s| s["name"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&send(&house, get("/v1/services")).await), ["A", "C"]);
    let first = send(&house, get("/v1/services?includeInactive=true&limit=2")).await;
    assert_eq!(names(&first), ["A", "B"]);
    let link = first.header("link").expect("there is more");
    let next = link.strip_prefix('<').and_then(|rest| rest.split_once('>')).expect("a link").0.to_owned();
    let second = send(&house, get(&next)).await;
    assert_eq!(names(&second), ["C"]);
    // Whoever stood last on the first page may be hidden from the second.
    let hidden = send(&house, get(&next.replace("includeInactive=true&", ""))).await;
    assert_eq!(names(&hidden), ["C"]);
    let nonsense = send(&house, get("/v1/services?cursor=00000000-0000-0000-0000-000000000051")).await;
    assert_eq!(nonsense.problem(422, "validation-error"), ["cursor"]);
    assert_eq!(second.header("link"), None);
}

#[actix_web::test]
async fn a_service_is_created_and_changed() {
    let house = House::that(Mood::Accepts);
    let new = json!({ "name": "Cut", "durationMinutes": 45, "price": { "currency": "EUR", "amount": 4500 } });
    let reply = send(&house, post("/v1/services", &new)).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("location"), Some("/v1/services/00000000-0000-0000-0000-000000000051"));
    assert_eq!(reply.header("x-idempotent-replay"), Some("false"));
    assert_eq!((&reply.json()["durationMinutes"], &reply.json()["staffIds"]), (&json!(45), &json!(null)));
    let zero = json!({ "name": "", "durationMinutes": 0, "price": { "currency": "EUR", "amount": 4500 } });
    let fields = send(&house, post("/v1/services", &zero)).await.problem(422, "validation-error");
    assert_eq!(fields, ["name", "durationMinutes"]);

    let uri = "/v1/services/00000000-0000-0000-0000-000000000051";
    for (body, staff) in [(json!({}), "staff_ids: None"), (json!({ "staffIds": null }), "staff_ids: Some(None)")] {
        assert_eq!(send(&house, patch(uri, body)).await.status, 200);
        assert!(house.seen().last().expect("a change").contains(staff), "{:?}", house.seen());
    }
}

#[actix_web::test]
async fn reference_data_is_changed_from_what_was_seen() {
    let house = House::that(Mood::Accepts);
    let rows = [
        (Method::PATCH, format!("/v1/services/{HAIRCUT}"), json!({ "name": "Cut" })),
        (Method::PATCH, format!("/v1/staff/{BEA}"), json!({ "displayName": "Bea" })),
        (Method::PUT, format!("/v1/staff/{BEA}/working-hours"), json!({ "weekly": null })),
        (Method::PUT, format!("/v1/staff/{BEA}/exceptions/2027-12-24"), json!({ "intervals": [] })),
        (Method::DELETE, format!("/v1/staff/{BEA}/exceptions/2027-12-24"), json!({})),
    ];
    for (method, uri, body) in rows {
        let change = |seen: &str| {
            let request =
                TestRequest::with_uri(&uri).method(method.clone()).insert_header(("if-match", seen.to_owned()));
            as_role(request, "manager").set_json(&body)
        };
        let whole = uri.replace("exceptions/2027-12-24", "working-hours");
        let seen = send(&house, get(&whole)).await.header("etag").expect("a tag").to_owned();
        let changed = send(&house, change(&seen)).await;
        assert_eq!((changed.status.is_success(), changed.header("etag").is_some()), (true, true), "{uri}");
        assert!(send(&house, change("*")).await.status.is_success());
        send(&house, change("\"0123456789abcdef01234567\"")).await.problem(412, "precondition-failed");
    }
}

#[actix_web::test]
async fn working_hours_are_shown_and_set() {
    let house = House::that(Mood::Accepts);
    let uri = format!("/v1/staff/{BEA}/working-hours");
    let shown = send(&house, get(&uri)).await.json();
    assert_eq!(shown["weekly"][1], json!({ "weekday": 1, "start": "13:00", "end": "18:00" }));
    let day = |start: &str, end: &str| json!({ "weekday": 7, "start": start, "end": end });
    assert_eq!(send(&house, put(&uri, json!({ "weekly": [day("22:30", "24:00")] }))).await.status, 200);
    assert!(house.seen()[0].contains("weekday: 7, start_minute: 1350, end_minute: 1440"), "{:?}", house.seen());
    assert_eq!(send(&house, put(&uri, json!({ "weekly": null }))).await.status, 200);
    for mistyped in [json!({}), json!({ "week": [day("10:00", "12:00")] })] {
        assert_eq!(send(&house, put(&uri, mistyped)).await.problem(422, "validation-error"), ["weekly"]);
    }
    for weekly in [json!([day("10:00", "10:00")]), json!([day("10:00", "12:00"), day("11:00", "13:00")])] {
        let reply = send(&house, put(&uri, json!({ "weekly": weekly }))).await;
        assert_eq!(reply.problem(422, "validation-error"), ["weekly"]);
    }
    for time in ["9:00", "24:01", "12:60", "+1:00"] {
        let reply = send(&house, put(&uri, json!({ "weekly": [day(time, "24:00")] }))).await;
        assert_eq!(reply.problem(422, "validation-error"), ["weekly[0].start"], "{time}");
    }
    let date = format!("/v1/staff/{BEA}/exceptions/2027-12-24");
    assert_eq!(send(&house, put(&date, json!({ "intervals": [] }))).await.status, 200);
    assert!(house.seen().last().expect("an exception").contains("2027-12-24, intervals: Some([])"));
    assert_eq!(send(&house, as_role(TestRequest::delete().uri(&date), "owner")).await.status, 204);
    let no_date = put(&format!("/v1/staff/{BEA}/exceptions/2027-02-30"), json!({ "intervals": [] }));
    send(&house, no_date).await.problem(404, "not-found");
}

#[actix_web::test]
async fn time_off_and_utilisation() {
    let house = House::that(Mood::Accepts);
    let uri = format!("/v1/staff/{BEA}/time-off");
    let entry = json!({
        "id": "00000000-0000-0000-0000-00000000000f",
        "start": "2027-03-01T09:00:00.000Z", "end": "2027-03-01T10:00:00.000Z",
    });
    assert_eq!(send(&house, get(&uri)).await.json(), json!({ "data": [entry], "nextCursor": null }));
    let added =
        send(&house, post(&uri, &json!({ "start": "2027-03-01T09:00:00Z", "end": "2027-03-01T10:00:00Z" }))).await;
    assert_eq!((added.status.as_u16(), added.json()), (201, entry));
    let week = format!("/v1/staff/{BEA}/utilisation?from=2027-03-01&to=2027-03-07");
    let day = json!({ "date": "2027-03-01", "bookedMinutes": 60, "workingMinutes": 480 });
    assert_eq!(send(&house, get(&week)).await.json(), json!({ "data": [day], "nextCursor": null }));
    for (range, field) in
        [("from=2027-03-02&to=2027-03-01", "to"), ("from=2027-01-01&to=2028-01-02", "to"), ("from=x&to=y", "from")]
    {
        let reply = send(&house, get(&format!("/v1/staff/{BEA}/utilisation?{range}"))).await;
        assert_eq!(reply.problem(422, "validation-error"), [field], "{range}");
    }
}

#[actix_web::test]
async fn customers_are_changed_from_the_version_that_was_seen() {
    let house = House::that(Mood::Accepts);
    let uri = format!("/v1/customers/{CUSTOMER}");
    let reply = send(&house, get(&uri)).await;
    assert_eq!((reply.header("etag"), &reply.json()["lastName"]), (Some("\"3\""), &json!("Muster")));
    let change = json!({ "email": "a@example.ch", "phone": null });
    let reply = send(&house, patch(&uri, change.clone())).await;
    assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, Some("\"4\"")));
    assert_eq!(house.seen(), ["a@example.ch None"]);
    let stale = patch(&uri, change).insert_header(("if-match", "\"2\""));
    send(&house, stale).await.problem(412, "precondition-failed");
    let fields = send(&house, patch(&uri, json!({ "email": "x", "firstName": "" }))).await;
    assert_eq!(fields.problem(422, "validation-error"), ["email", "firstName"]);
}

#[actix_web::test]
async fn points_are_shown_spent_and_corrected() {
    let house = House::that(Mood::Accepts);
    let uri = format!("/v1/loyalty/{CUSTOMER}");
    let account = json!({
        "customerId": CUSTOMER, "balance": 120, "earnedLastYear": 300, "tier": "gold",
        "nextExpiry": { "points": 20, "at": "2029-01-01T00:00:00.000Z" },
    });
    assert_eq!(send(&house, get(&uri)).await.json(), account);
    let history = send(&house, get(&format!("{uri}/history?cursor=9"))).await.json();
    assert_eq!((&history["data"][0]["points"], &history["nextCursor"]), (&json!(-50), &json!("7")));
    let redeem = |points: i64| post(&format!("{uri}/redeem"), &json!({ "points": points }));
    let reply = send(&house, redeem(50)).await;
    assert_eq!((&reply.json()["balance"], reply.header("etag")), (&json!(0), Some("\"3\"")));
    for points in [0, -1, 1_000_001] {
        assert_eq!(send(&house, redeem(points)).await.problem(422, "validation-error"), ["points"]);
    }
    let adjust = |points: i64| post(&format!("{uri}/adjust"), &json!({ "points": points }));
    assert_eq!(send(&house, adjust(-20)).await.status, 200);
    assert!(house.seen().last().expect("a command").contains("points: -20"));
    assert_eq!(send(&house, adjust(0)).await.problem(422, "validation-error"), ["points"]);

    let nobody = format!("/v1/loyalty/{STRANGER}");
    let history = format!("{nobody}/history");
    for unknown in [get(&nobody), get(&history), post(&format!("{nobody}/adjust"), &json!({ "points": 5 }))] {
        send(&house, unknown).await.problem(404, "not-found");
    }
}
