//! One of each command.

use codeccloud::clock::SystemClock;
use codeccloud_actors::ports::Clock;
use serde_json::{Value, json};

use super::{Salon, Server, key};

/// `told` is called with the path and the answer after each. The booking that is completed was moved to another month.
pub async fn of_each_command(server: &Server, owner: &Salon, mut told: impl AsyncFnMut(&str, Value)) {
    let mut ask = async |path: String, body: Value| -> Value {
        let answer = server.post(owner, &path, &key(), &body).await;
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text);
        told(&path, answer.json()).await;
        answer.json()
    };
    let (one, other) = (owner.booking(0, 0, 0), owner.booking(1, 0, 1));
    let booked = ask("/v1/bookings".to_owned(), one).await;
    let id = booked["booking"]["id"].as_str().unwrap();
    let later = owner.booking(0, 25, 3);
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
    let missed = owner.booking(1, 0, 2);
    let booked = ask("/v1/bookings".to_owned(), missed).await;
    let id = booked["booking"]["id"].as_str().unwrap();
    for step in ["check-in", "no-show"] {
        ask(format!("/v1/bookings/{id}/{step}"), json!({ "bookingId": id })).await;
    }

    let product = async |sku: &str| {
        let new = json!({ "sku": sku, "name": sku, "price": { "currency": "CHF", "amount": 2_450 } });
        let made = server.post(owner, "/v1/products", &key(), &new).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()["id"].as_str().unwrap().to_owned()
    };
    let products = [product("A").await, product("B").await];
    for product in &products {
        ask(format!("/v1/products/{product}/receive"), json!({ "quantity": 9 })).await;
    }
    ask(format!("/v1/products/{}/adjust", products[0]), json!({ "quantity": -1, "reason": "damage" })).await;
    let lines = json!(products.each_ref().map(|id| json!({ "productId": id, "quantity": 2 })));
    let tomorrow = SystemClock.now().plus_minutes(60 * 24);
    let held = ask("/v1/stock/reserve".to_owned(), json!({ "lines": lines, "expiresAt": tomorrow })).await;
    let release = json!({ "reservationId": held["reservationId"], "productIds": products });
    ask("/v1/stock/release".to_owned(), release).await;
    ask("/v1/stock/consume".to_owned(), json!({ "lines": lines })).await;
}
