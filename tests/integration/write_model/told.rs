//! What each command leaves for those who watch: a data version that has moved, and an entry of the outbox under the
//! event that the answer names.

use serde_json::{Value, json};
use uuid::Uuid;

use super::House;
use crate::support::{Mode, in_both_modes, key};

in_both_modes!(the_outbox_names_the_event_of_every_answer, the_data_version_moves_with_every_command);

async fn the_outbox_names_the_event_of_every_answer(mode: Mode) {
    let house = House::open(mode).await;
    of_each_command(&house, async |path, answer| {
        let event: Uuid = answer["outboxEventId"].as_str().unwrap().parse().unwrap();
        let entries = house.number(&format!("SELECT count(*) FROM outbox_events WHERE event_id = '{event}'")).await;
        assert!(entries > 0, "{path}: no entry is of {event}");
    })
    .await;
    let unnamed =
        "SELECT count(*) FROM outbox_events WHERE event_id IS NULL AND aggregate ~ '^(appoint|loyalty|product_st)'";
    assert_eq!(house.number(unnamed).await, 0, "entries of no event");
    let shared = "SELECT count(*) FROM (SELECT event_id FROM outbox_events WHERE aggregate !~ '^appoint' \
                  AND event_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1) e";
    assert_eq!(house.number(shared).await, 0, "one event for several entries that are no appointment's");
}

async fn the_data_version_moves_with_every_command(mode: Mode) {
    let house = House::open(mode).await;
    let sql = format!("SELECT data_version FROM tenants WHERE id = '{}'", house.salon.tenant_id);
    let mut before = 0;
    of_each_command(&house, async |path, _| {
        let after = house.number(&sql).await;
        assert!(after > before, "{path}: {before}, then {after}");
        before = after;
    })
    .await;
}

/// One of each kind; `told` is called after each.
async fn of_each_command(house: &House, mut told: impl AsyncFnMut(&str, Value)) {
    let owner = house.server.member_of(&house.salon, house.dir.path(), "owner").await;
    let mut ask = async |path: String, body: Value| -> Value {
        let answer = house.server.post(&owner, &path, &key(), &body).await;
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text);
        told(&path, answer.json()).await;
        answer.json()
    };
    let (one, other) = (house.salon.booking(0, 0, 0), house.salon.booking(1, 0, 1));
    let booked = ask("/v1/bookings".to_owned(), one).await;
    let id = booked["booking"]["id"].as_str().unwrap();
    let later = house.salon.booking(0, 1, 3);
    let to = json!({ "bookingId": id, "slotStart": later["slotStart"], "slotEnd": later["slotEnd"] });
    ask(format!("/v1/bookings/{id}/reschedule"), to).await;
    for step in ["confirm", "check-in", "complete"] {
        ask(format!("/v1/bookings/{id}/{step}"), json!({ "bookingId": id })).await;
    }
    let customer = booked["booking"]["customer"]["id"].as_str().unwrap();
    ask(format!("/v1/loyalty/{customer}/adjust"), json!({ "points": 5 })).await;
    ask(format!("/v1/loyalty/{customer}/redeem"), json!({ "points": 1 })).await;
    let booked = ask("/v1/bookings".to_owned(), other).await;
    let id = booked["booking"]["id"].as_str().unwrap();
    ask(format!("/v1/bookings/{id}/cancel"), json!({ "bookingId": id })).await;

    let product = async |sku: &str| {
        let new = json!({ "sku": sku, "name": sku, "price": { "currency": "CHF", "amount": 2_450 } });
        let made = house.server.post(&owner, "/v1/products", &key(), &new).await;
        made.json()["id"].as_str().unwrap().to_owned()
    };
    let products = [product("A").await, product("B").await];
    for product in &products {
        ask(format!("/v1/products/{product}/receive"), json!({ "quantity": 9 })).await;
    }
    let lines = json!({ "lines": products.map(|id| json!({ "productId": id, "quantity": 2 })) });
    ask("/v1/stock/consume".to_owned(), lines).await;
}
