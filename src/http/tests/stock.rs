//! Products, stock and figures.

use actix_web::test::TestRequest;
use codeccloud_actors::aggregates::stock_item::StockRefusal;
use codeccloud_actors::testing::{BALM, SHAMPOO, WAX};
use serde_json::{Value, json};

use super::house::{House, Mood};
use super::{as_role, get, post, send};

fn patch(uri: &str, body: &Value) -> TestRequest {
    as_role(TestRequest::patch().uri(uri), "owner").set_json(body)
}

fn lines(lines: &[(&str, u32)]) -> Value {
    lines.iter().map(|(product_id, quantity)| json!({ "productId": product_id, "quantity": quantity })).collect()
}

#[actix_web::test]
async fn products_are_listed_added_and_changed() {
    let house = House::that(Mood::Accepts);
    let names = |page: Value| -> Vec<String> {
        let products = page["data"].as_array().expect("a page").clone();
        products.iter().map(|product| product["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(send(&house, get("/v1/products")).await.json()), ["Balm", "Shampoo"]);
    assert_eq!(names(send(&house, get("/v1/products?includeInactive=true&limit=1")).await.json()), ["Balm"]);
    let one = send(&house, get(&format!("/v1/products/{SHAMPOO}"))).await;
    let shampoo = json!({
        "id": SHAMPOO, "sku": "shampoo", "name": "Shampoo", "description": null,
        "price": { "currency": "CHF", "amount": 2450 }, "active": true, "minimumStock": 5,
    });
    assert_eq!(one.json(), shampoo);

    let new =
        json!({ "sku": "B-1", "name": "Brush", "price": { "currency": "EUR", "amount": 900 }, "minimumStock": 2 });
    let created = send(&house, post("/v1/products", &new)).await;
    assert_eq!((created.status.as_u16(), &created.json()["name"]), (201, &json!("Brush")));
    assert_eq!(created.header("location"), Some(format!("/v1/products/{SHAMPOO}").as_str()));
    let nameless =
        json!({ "sku": " ", "name": "", "price": { "currency": "CHF", "amount": -1 }, "minimumStock": 9_999_999 });
    let fields = send(&house, post("/v1/products", &nameless)).await.problem(422, "validation-error");
    assert_eq!(fields, ["sku", "name", "price.amount", "minimumStock"]);

    let uri = format!("/v1/products/{SHAMPOO}");
    let seen = one.header("etag").expect("a tag").to_owned();
    let undescribed = || patch(&uri, &json!({ "description": null }));
    assert_eq!(send(&house, undescribed().insert_header(("if-match", seen))).await.status, 200);
    assert!(house.seen().last().expect("a change").contains("description: Some(None)"), "{:?}", house.seen());
    let stale = undescribed().insert_header(("if-match", "\"0123456789abcdef01234567\""));
    send(&house, stale).await.problem(412, "precondition-failed");
}

#[actix_web::test]
async fn stock_is_shown_received_and_corrected() {
    let house = House::that(Mood::Accepts);
    let uri = format!("/v1/products/{SHAMPOO}");
    let shown = send(&house, get(&format!("{uri}/stock"))).await;
    assert_eq!(shown.json(), json!({ "productId": SHAMPOO, "onHand": 12, "reserved": 2, "available": 10 }));
    assert_eq!(shown.header("etag"), Some("\"3\""));
    let movements = send(&house, get(&format!("{uri}/movements?cursor=9"))).await.json();
    assert_eq!((&movements["data"][0]["reason"], &movements["nextCursor"]), (&json!("damage"), &json!("7")));
    send(&house, get(&format!("{uri}/movements?cursor=x"))).await.problem(422, "validation-error");

    let received = send(&house, post(&format!("{uri}/receive"), &json!({ "quantity": 12 }))).await;
    assert_eq!((&received.json()["available"], received.header("etag")), (&json!(12), Some("\"3\"")));
    let adjust = |quantity: i64, reason: &str| {
        post(&format!("{uri}/adjust"), &json!({ "quantity": quantity, "reason": reason }))
    };
    assert_eq!(send(&house, adjust(-2, "damage")).await.status, 200);
    assert!(house.seen().last().expect("a command").contains("quantity: -2, reason: Damage"));
    for (quantity, reason, field) in
        [(0, "count", "quantity"), (1_000_001, "count", "quantity"), (1, "Anna took it", "reason")]
    {
        assert_eq!(send(&house, adjust(quantity, reason)).await.problem(422, "validation-error"), [field]);
    }
    let nothing = post(&format!("{uri}/receive"), &json!({ "quantity": 0 }));
    assert_eq!(send(&house, nothing).await.problem(422, "validation-error"), ["quantity"]);
}

#[actix_web::test]
async fn what_a_request_names_twice_is_asked_for_once() {
    let house = House::that(Mood::Accepts);
    let (shampoo, balm) = (SHAMPOO.to_string(), BALM.to_string());
    let twice = lines(&[(&shampoo, 2), (&balm, 1), (&shampoo, 3)]);
    let reserve = json!({ "lines": twice, "expiresAt": "2027-03-01T12:00:00Z" });
    let reserved = send(&house, post("/v1/stock/reserve", &reserve)).await.json();
    assert_eq!(reserved["expiresAt"], "2027-03-01T12:00:00.000Z");
    let asked = house.seen().pop().expect("a command");
    assert!(asked.contains(&format!("{{{SHAMPOO:?}: 5, {BALM:?}: 1}}")), "{asked}");
    let release = json!({ "reservationId": reserved["reservationId"], "productIds": [shampoo, shampoo] });
    let released = send(&house, post("/v1/stock/release", &release)).await.json();
    assert_eq!(released["reservationId"], reserved["reservationId"]);
    let consumed = send(&house, post("/v1/stock/consume", &json!({ "lines": twice }))).await;
    assert_eq!((consumed.status.as_u16(), &consumed.json()["reservationId"]), (200, &Value::Null));

    let many = vec![(shampoo.as_str(), 1); 101];
    for (wrong, field) in
        [(lines(&[]), "lines"), (lines(&many), "lines"), (lines(&[(&shampoo, 0)]), "lines[0].quantity")]
    {
        let reply = send(&house, post("/v1/stock/consume", &json!({ "lines": wrong }))).await;
        assert_eq!(reply.problem(422, "validation-error"), [field]);
    }
    let refusal = StockRefusal::InsufficientStock { product_id: SHAMPOO, available: 1, asked: 5 };
    let refused = send(&House::that(Mood::Refuses(refusal.into())), post("/v1/stock/reserve", &reserve)).await;
    refused.problem(409, "conflict");
}

#[actix_web::test]
async fn the_dashboard_has_figures_of_the_last_thirty_days_unless_asked_for_others() {
    let house = House::that(Mood::Accepts);
    let dashboard = send(&house, get("/v1/admin/dashboard")).await.json();
    let figures = json!({
        "from": "2027-01-31", "to": "2027-03-01", "currency": "CHF", "revenueCents": 24_000, "utilisation": 0.75,
        "satisfaction": null, "bookings": 6, "bookedCents": 48_000, "completed": 3, "cancellations": 2,
        "cancelledCents": 16_000, "noShows": 1, "noShowCents": 8_000,
    });
    assert_eq!(dashboard, figures);
    let ahead = send(&house, get("/v1/admin/dashboard?from=2027-06-01&currency=EUR")).await.json();
    assert_eq!((&ahead["from"], &ahead["to"]), (&json!("2027-06-01"), &json!("2027-06-01")));
    for (range, field) in [
        ("from=2026-02-27&to=2026-03-31", "from"),
        ("from=2027-02-02&to=2027-02-01", "to"),
        ("from=2027-02-02&to=2028-02-03", "to"),
        ("currency=USD", "currency"),
    ] {
        let reply = send(&house, get(&format!("/v1/admin/dashboard?{range}"))).await;
        assert_eq!(reply.problem(422, "validation-error"), [field], "{range}");
    }
}

#[actix_web::test]
async fn the_document_knows_what_may_be_absent() {
    let house = House::that(Mood::Accepts);
    let document = send(&house, TestRequest::get().uri("/openapi.json")).await.json();
    for path in ["/v1/admin/dashboard", "/v1/admin/revenue", "/v1/admin/inventory"] {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().expect("some").clone();
        let asked = parameters.iter().filter(|parameter| parameter["in"] == "query");
        assert!(asked.into_iter().all(|parameter| parameter["required"] != true), "{path}");
    }
    let row = &document["components"]["schemas"]["Revenue"];
    let required = row["required"].as_array().expect("some are");
    assert!(["date", "staffId", "serviceId"].iter().all(|part| !required.contains(&json!(part))), "{row}");
    assert!(required.contains(&json!("revenueCents")));
}

#[actix_web::test]
async fn revenue_is_broken_down_as_asked() {
    let house = House::that(Mood::Accepts);
    for (query, field, value) in [
        ("from=2027-02-27", "date", json!("2027-02-27")),
        ("by=month&from=2025-04-15", "date", json!("2025-04-01")),
        ("by=staff", "staffId", json!("00000000-0000-0000-0000-00000000000a")),
        ("by=service", "serviceId", json!("00000000-0000-0000-0000-000000000051")),
    ] {
        let page = send(&house, get(&format!("/v1/admin/revenue?{query}"))).await.json();
        let row = page["data"][0].as_object().expect("a row");
        assert_eq!((&row[field], &row["bookings"], row.len()), (&value, &json!(6), 10), "{query}");
    }
    for query in
        ["by=month&from=2025-03-31", "by=day&from=2026-02-27&to=2026-02-28", "by=staff&from=2025-04-15&to=2025-05-15"]
    {
        let reply = send(&house, get(&format!("/v1/admin/revenue?{query}"))).await;
        assert_eq!(reply.problem(422, "validation-error"), ["from"], "{query}");
    }
}

#[actix_web::test]
async fn the_inventory_shows_what_should_be_ordered() {
    let house = House::that(Mood::Accepts);
    let listed = async |query: &str| -> Vec<(Value, Value)> {
        let page = send(&house, get(&format!("/v1/admin/inventory{query}"))).await.json();
        let items = page["data"].as_array().expect("a page").clone();
        items.iter().map(|item| (item["productId"].clone(), item["belowMinimum"].clone())).collect()
    };
    assert_eq!(listed("").await, [(json!(BALM), json!(true)), (json!(SHAMPOO), json!(false))]);
    assert_eq!(listed("?belowMinimum=true").await, [(json!(BALM), json!(true))]);
    let all = listed("?belowMinimum=true&includeInactive=true").await;
    assert_eq!(all, [(json!(BALM), json!(true)), (json!(WAX), json!(true))]);
}
