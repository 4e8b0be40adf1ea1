//! What a front-end reads of a salon besides its stock and figures, told so that it can be compared with what it reads of
//! another.

use codeccloud_actors::time::Timestamp;
use serde_json::{Value, json};

use super::figures::SPAN;
use super::pair::Time;
use crate::support::{Salon, Server};

/// Steps are about the first ones only, so these are the customers who may have points.
const CUSTOMERS: usize = 6;

pub async fn reads(server: &Server, salon: &Salon, bookings: &[&Value]) -> Vec<Value> {
    let mut all = Vec::new();
    for path in paths(salon, bookings) {
        // Page by page, where it comes in pages.
        let mut cursor = String::new();
        loop {
            let reply = server.get(salon, &format!("{path}{cursor}")).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text);
            let page = reply.json();
            let next = page.get("nextCursor").and_then(Value::as_str).map(|next| format!("&cursor={next}"));
            all.push(json!([path, reply.etag, timeless(page)]));
            let Some(next) = next else { break };
            cursor = next;
        }
    }
    all
}

fn paths(salon: &Salon, bookings: &[&Value]) -> Vec<String> {
    let mut paths = vec!["/v1/bookings?limit=200".to_owned(), "/v1/bookings?order=desc&limit=3".to_owned()];
    let person = format!("staffId={}", salon.staff_ids[1]);
    let month = "from=2031-06-01T00:00:00Z&to=2031-06-30T22:00:00Z";
    for query in ["order=desc", "status=rescheduled", "status=cancelled", "status=no_show", &person, month] {
        paths.push(format!("/v1/bookings/search?limit=4&{query}"));
    }
    for booking in bookings {
        paths.push(format!("/v1/bookings/{}", booking["id"].as_str().unwrap()));
    }
    for booking in bookings.iter().take(CUSTOMERS) {
        let customer = booking["customer"]["id"].as_str().unwrap();
        paths.push(format!("/v1/loyalty/{customer}"));
        paths.push(format!("/v1/loyalty/{customer}/history?limit=2"));
        paths.push(format!("/v1/bookings/search?customerId={customer}"));
    }
    paths.extend(salon.staff_ids.iter().map(|staff_id| format!("/v1/staff/{staff_id}/utilisation?{SPAN}")));
    for noon in Time::EDGES.into_iter().chain(["2031-06-02T12:00:00Z"]) {
        let noon: Timestamp = noon.parse().unwrap();
        let (from, to) = (noon.plus_minutes(-12 * 60), noon.plus_minutes(12 * 60));
        paths.push(format!("/v1/bookings/availability?serviceId={}&from={from}&to={to}", salon.service_id));
    }
    paths
}

/// Without the times at which commands came, and what follows from these.
fn timeless(page: Value) -> Value {
    match page {
        Value::Object(fields) => {
            let told = fields
                .into_iter()
                .filter(|(name, _)| !["createdAt", "updatedAt", "occurredAt", "at"].contains(&name.as_str()));
            told.map(|(name, value)| (name, timeless(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(timeless).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => page,
    }
}
