//! The contract's table of inputs and their answers.

use codeccloud::clock::SystemClock;
use codeccloud_actors::ports::Clock;
use codeccloud_actors::time::DAY_MS;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{NOWHERE, as_role, get, post, with};
use crate::support::{Mode, TestDir, in_both_modes};

in_both_modes!(
    inputs_get_the_answers_of_the_contract,
    what_stands_in_the_way_of_a_slot_is_named,
    figures_of_days_that_are_more_than_a_year_past_are_refused,
);

async fn inputs_get_the_answers_of_the_contract(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let good = salon.booking(0, 0, 0);
    let change = |pointer: &str, value: Value| with(good.clone(), pointer, value);
    let invalid = [
        ("slotEnd", change("/slotEnd", good["slotStart"].clone())),
        ("slotEnd", change("/slotEnd", json!("2031-06-01T07:00:00Z"))),
        ("slotEnd", change("/slotEnd", json!("2031-06-03T07:00:00.001Z"))),
        ("slotStart", change("/slotStart", json!("2031-06-02T07:00:00"))),
        (
            "slotStart",
            with(change("/slotStart", json!("2020-01-01T09:00:00Z")), "/slotEnd", json!("2020-01-01T10:00:00Z")),
        ),
        ("price.amount", change("/price/amount", json!(-1))),
        ("price.currency", change("/price/currency", json!("USD"))),
        ("price.amount", change("/price/amount", json!("85"))),
        ("serviceId", change("/serviceId", json!(7))),
    ];
    for (field, body) in &invalid {
        let answer = post(&server, &salon, "/v1/bookings", body).await;
        assert_eq!(answer.problem(422, "validation-error", field), [*field], "{body}");
    }
    for (what, pointer) in [("service", "/serviceId"), ("staff", "/staffId")] {
        let answer = post(&server, &salon, "/v1/bookings", &change(pointer, json!(NOWHERE))).await;
        answer.problem(404, "not-found", what);
        assert!(answer.body["detail"].as_str().unwrap().contains(what), "{}", answer.body);
    }
    get(&server, &salon, &format!("/v1/bookings/{NOWHERE}")).await.problem(404, "not-found", "an unknown booking");
    let span = "from=2031-01-01T00:00:00Z&to=2031-04-03T00:00:00.001Z";
    let long = format!("/v1/bookings/availability?serviceId={}&{span}", salon.service_id);
    assert_eq!(get(&server, &salon, &long).await.problem(422, "validation-error", "93 days"), ["to"]);
    let quarter = long.replace("00.001Z", "00Z");
    assert_eq!(get(&server, &salon, &quarter).await.status, 200, "every quarter of an hour, of everybody");
    let endless = get(&server, &salon, &format!("{quarter}&granularityMinutes=1")).await;
    assert_eq!(endless.problem(422, "validation-error", "every minute"), ["to", "granularityMinutes"]);

    // Length and price are for the salon to give, not for the customer to take.
    let customer = as_role(&salon, &dir, "customer");
    let own: Value = change("/customer/id", json!(subject(&customer.token)));
    let other = post(&server, &customer, "/v1/bookings", &good).await;
    other.problem(403, "forbidden", "somebody else");
    let cheap = with(own.clone(), "/price/amount", json!(1));
    let longer = with(own.clone(), "/slotEnd", json!("2031-06-02T09:30:00Z"));
    for (field, body) in [("price", &cheap), ("slotEnd", &longer)] {
        let answer = post(&server, &customer, "/v1/bookings", body).await;
        assert_eq!(answer.problem(422, "validation-error", field), [field]);
    }
    assert_eq!(post(&server, &customer, "/v1/bookings", &own).await.status, 201);
    let as_sent = with(salon.booking(0, 0, 4), "/price/amount", json!(1));
    assert_eq!(post(&server, &salon, "/v1/bookings", &as_sent).await.status, 201, "a front-end's server may");
}

/// The token's `sub`.
fn subject(token: &str) -> String {
    use base64::Engine;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["sub"].as_str().unwrap().to_owned()
}

async fn what_stands_in_the_way_of_a_slot_is_named(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let price = json!({ "currency": "CHF", "amount": 6000 });
    let buffered = json!({ "name": "Peeling", "durationMinutes": 30, "price": price, "bufferAfterMinutes": 30 });
    let buffered = post(&server, &manager, "/v1/services", &buffered).await.body["id"].clone();
    let only = json!({ "name": "Locken", "durationMinutes": 30, "price": price, "staffIds": [salon.staff_ids[1]] });
    let only = post(&server, &manager, "/v1/services", &only).await.body["id"].clone();
    let free = salon.booking(2, 0, 0);
    let time_off = json!({ "start": free["slotStart"], "end": free["slotEnd"] });
    let path = format!("/v1/staff/{}/time-off", salon.staff_ids[2]);
    assert_eq!(post(&server, &manager, &path, &time_off).await.status, 201);

    let first = with(salon.booking(0, 0, 0), "/serviceId", buffered);
    assert_eq!(post(&server, &salon, "/v1/bookings", &first).await.status, 201);
    let at_night = with(salon.booking(0, 0, 0), "/slotStart", json!("2031-06-02T01:00:00Z"));
    let at_night = with(at_night, "/slotEnd", json!("2031-06-02T01:30:00Z"));
    let rows = [
        ("taken", salon.booking(0, 0, 0)),
        ("buffer", salon.booking(0, 0, 1)),
        ("working hours", at_night),
        ("is off", free),
        ("not perform", with(salon.booking(0, 1, 0), "/serviceId", only)),
    ];
    for (reason, body) in rows {
        let answer = post(&server, &salon, "/v1/bookings", &body).await;
        answer.problem(409, "conflict", reason);
        assert!(answer.body["detail"].as_str().unwrap().contains(reason), "{reason}: {}", answer.body);
    }
}

/// However long each mode keeps them.
async fn figures_of_days_that_are_more_than_a_year_past_are_refused(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let utilisation = format!("/v1/staff/{}/utilisation", salon.staff_ids[0]);
    for path in [utilisation.as_str(), "/v1/admin/dashboard", "/v1/admin/revenue"] {
        let back = async |days: i64| {
            let day = SystemClock.now().plus_millis(-days * DAY_MS).date_in(&TimeZone::UTC);
            get(&server, &manager, &format!("{path}?from={day}&to={day}")).await
        };
        assert_eq!(back(364).await.status, 200, "{path}");
        for days in [368, 500] {
            assert_eq!(back(days).await.problem(422, "validation-error", path), ["from"], "{path}: {days} days");
        }
    }
}
