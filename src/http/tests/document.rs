//! The API's document, as a program and as a person reads it.

use std::collections::HashSet;

use actix_web::test::TestRequest;
use serde_json::Value;

use super::house::{House, Mood};
use super::{Reply, send};
use crate::http::route::{Access, Content, Verb};
use crate::http::routes::ROUTES;

async fn served(uri: &str) -> Reply {
    let reply = send(&House::that(Mood::Accepts), TestRequest::get().uri(uri)).await;
    assert_eq!(reply.status, 200);
    reply
}

#[actix_web::test]
async fn every_route_is_in_the_document_with_its_answers() {
    let document = served("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = HashSet::new();
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.verb.as_str().to_lowercase()];
        assert!(operation.is_object(), "{} {}", route.verb.as_str(), route.path);
        assert!(
            ids.insert(operation["operationId"].as_str().expect("text").to_owned()),
            "{} twice",
            operation["operationId"]
        );
        let success = &operation["responses"][route.success.status.to_string()];
        assert_eq!(matches!(route.success.content, Content::Nothing), success["content"].is_null());
        assert!(operation["responses"]["500"].is_object());
        assert_eq!(operation["responses"]["401"].is_object(), route.access != Access::Public);
        let named = |name: &str| operation["parameters"].as_array().into_iter().flatten().any(|p| p["name"] == name);
        assert_eq!(named("Idempotency-Key"), route.verb == Verb::Post);
        assert!(route.path_parameters().all(named), "{}", route.path);
        assert_eq!(operation["requestBody"].is_object(), route.body.is_some());
    }
}

#[actix_web::test]
async fn the_document_is_whole_in_itself() {
    let document = served("/openapi.json").await.json();
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 100, "{} references", references.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("nothing refers to another host");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let booking = &document["components"]["schemas"]["CreateBooking"];
    let required = booking["required"].as_array().expect("some are");
    assert!(required.contains(&"slotStart".into()) && !required.contains(&"notes".into()));
    let availability = &document["paths"]["/v1/bookings/availability"]["get"]["parameters"];
    let granularity = availability.as_array().into_iter().flatten().find(|p| p["name"] == "granularityMinutes");
    let granularity = granularity.expect("a query parameter");
    assert_eq!((&granularity["in"], &granularity["required"]), (&"query".into(), &false.into()));
    assert_eq!(granularity["schema"]["type"], "integer");
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                into.push(reference.to_owned());
            }
            fields.values().for_each(|field| collect_references(field, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[actix_web::test]
async fn the_page_lists_every_route_and_needs_no_other_host() {
    let reply = served("/docs").await;
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    let page = reply.text();
    for route in ROUTES {
        assert!(page.contains(&format!("<code>{}</code>", route.path)), "{}", route.path);
        assert!(page.contains(route.summary), "{}", route.summary);
    }
    for foreign in ["http://", "https://", "<script", "src=", "@import"] {
        assert!(!page.replace("https://codeccloud.ch/problems/", "").contains(foreign), "{foreign}");
    }
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().expect("closed");
        assert!(page.contains(&format!("id=\"{target}\"")), "#{target} leads nowhere");
    }
}
