//! The API's document, as a program and as a person reads it.

use std::collections::HashSet;

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::Value;

use super::house::{House, Mood};
use super::{Reply, send};
use crate::http::openapi::{DOCUMENT, HEADERS};
use crate::http::route::{Access, Content, Route, Verb};
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

/// Of the answer to that request: each header that [`HEADERS`] names is where the document has this answer.
pub fn check_headers(method: &Method, path: &str, status: StatusCode, headers: &HeaderMap) {
    let is_asked = |route: &&Route| route.verb.method() == *method && matches(route.path, path);
    let Some(route) = ROUTES.iter().find(is_asked) else { return };
    let answers = &DOCUMENT["paths"][route.path][route.verb.as_str().to_lowercase()]["responses"];
    let mut answer = &answers[status.as_str()];
    if answer.is_null() {
        // The house of a test may refuse what the true one never refuses there.
        return;
    }
    if let Some(reference) = answer["$ref"].as_str() {
        answer = DOCUMENT.pointer(&reference[1..]).expect("the document is whole");
    }
    for (name, _) in HEADERS.iter().filter(|(name, _)| headers.contains_key(*name)) {
        assert!(answer["headers"][name].is_object(), "{method} {path}: {status} has a {name} that nobody knows of");
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let fits = |(part, given): (&&str, &&str)| part.starts_with('{') || part == given;
    template.len() == path.len() && template.iter().zip(&path).all(fits)
}

/// Which lists are bare and what is created at a path of its own, so that a program finds the next page and the outcome.
#[actix_web::test]
async fn the_document_says_where_to_go_on() {
    let document = served("/openapi.json").await.json();
    let with = |header: &str| -> Vec<&str> {
        let of = |route: &&Route| {
            let operation = &document["paths"][route.path][route.verb.as_str().to_lowercase()];
            operation["responses"][route.success.status.to_string()]["headers"][header].is_object()
        };
        ROUTES.iter().filter(of).map(|route| route.path).collect()
    };
    assert_eq!(with("Link"), ["/v1/bookings", "/v1/services", "/v1/staff"]);
    assert_eq!(with("Location"), ["/v1/bookings", "/v1/services", "/v1/staff", "/v1/products", "/v1/webhooks"]);
    let problem = document["components"]["responses"]["Problem"]["headers"].as_object().expect("headers");
    assert!(["Retry-After", "RateLimit-Reset", "X-Request-ID"].iter().all(|name| problem.contains_key(*name)));
}

/// A server that is not ready says what is missing, and that is no problem document.
#[actix_web::test]
async fn the_answer_of_a_server_that_is_not_ready_is_in_the_document() {
    let document = served("/openapi.json").await.json();
    let content = &document["paths"]["/health/ready"]["get"]["responses"]["503"]["content"];
    assert_eq!(content["application/json"]["schema"]["$ref"], "#/components/schemas/Health");
    assert_eq!(content["application/problem+json"]["schema"]["$ref"], "#/components/schemas/Problem");
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
    for body in ["CreateBooking", "RescheduleBooking"] {
        let start = &document["components"]["schemas"][body]["properties"]["slotStart"]["description"];
        assert!(start.as_str().is_some_and(|text| text.contains("ten years ahead")), "{body}: {start}");
    }
    let availability = &document["paths"]["/v1/bookings/availability"]["get"]["parameters"];
    let granularity = availability.as_array().into_iter().flatten().find(|p| p["name"] == "granularityMinutes");
    let granularity = granularity.expect("a query parameter");
    assert_eq!((&granularity["in"], &granularity["required"]), (&"query".into(), &false.into()));
    assert_eq!(granularity["schema"]["type"], "integer");
}

/// What the specification asks of each part, as far as this document uses it.
#[actix_web::test]
async fn the_document_is_openapi_3_1() {
    let document = served("/openapi.json").await.json();
    assert!(["title", "version"].iter().all(|field| document["info"][field].is_string()));
    for (path, operations) in document["paths"].as_object().expect("paths") {
        assert!(path.starts_with('/'));
        for (verb, operation) in operations.as_object().expect("operations") {
            check_operation(&format!("{verb} {path}"), path, operation);
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        assert!(plain, "{name} is no name of a component");
        check_schema(name, schema);
    }
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.verb.as_str().to_lowercase()];
        for slug in route.problems() {
            let answer = &operation["responses"][slug.status().to_string()];
            assert_eq!(answer["$ref"], "#/components/responses/Problem", "{} {slug:?}", route.path);
            assert!(answer["description"].as_str().is_some_and(|slugs| slugs.contains(slug.as_str())));
        }
    }
}

fn check_operation(of: &str, path: &str, operation: &Value) {
    let mut seen = HashSet::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (&parameter["name"], parameter["in"].as_str().expect("a place"));
        assert!(seen.insert((name, place)), "{of}: {name} twice");
        assert!(["path", "query", "header"].contains(&place), "{of}: {place}");
        assert!(parameter["required"] == true || place != "path", "{of}: {name}");
        check_schema(of, &parameter["schema"]);
    }
    let in_path: HashSet<&str> =
        seen.iter().filter(|(_, place)| *place == "path").filter_map(|(n, _)| n.as_str()).collect();
    let templated: HashSet<&str> = path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
    assert_eq!(in_path, templated, "{of}");
    let responses = operation["responses"].as_object().expect("answers");
    assert!(responses.keys().any(|status| status.starts_with('2')), "{of}");
    for (status, response) in responses {
        assert!(status.parse().is_ok_and(|status: u16| (200..600).contains(&status)), "{of}: {status}");
        assert!(response["description"].is_string(), "{of}: {status}");
    }
    let bodies = responses.values().chain([&operation["requestBody"]]);
    for content in bodies.filter_map(|body| body["content"].as_object()).flatten() {
        check_schema(of, &content.1["schema"]);
    }
}

/// JSON Schema 2020-12 as this document uses it; what version 3.0 wrote otherwise is refused.
fn check_schema(of: &str, schema: &Value) {
    const KINDS: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];
    let fields = schema.as_object().unwrap_or_else(|| panic!("{of}: {schema} is no schema"));
    assert!(["nullable", "example"].iter().all(|old| !fields.contains_key(*old)), "{of}: {schema}");
    let kinds = fields.get("type").map(|kinds| kinds.as_array().cloned().unwrap_or_else(|| vec![kinds.clone()]));
    let known = |kind: &Value| kind.as_str().is_some_and(|kind| KINDS.contains(&kind));
    assert!(kinds.iter().flatten().all(known), "{of}: {schema}");
    let says = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
    assert!(says.iter().any(|word| fields.contains_key(*word)), "{of}: {schema} says nothing");
    let properties = fields.get("properties").and_then(Value::as_object);
    for required in fields.get("required").and_then(Value::as_array).into_iter().flatten() {
        let named =
            properties.is_some_and(|properties| required.as_str().is_some_and(|name| properties.contains_key(name)));
        assert!(named, "{of}: {required} is required and not described");
    }
    let parts = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|word| fields.get(word)?.as_array()).flatten();
    for part in parts.chain(fields.get("items")).chain(properties.into_iter().flat_map(|fields| fields.values())) {
        check_schema(of, part);
    }
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
