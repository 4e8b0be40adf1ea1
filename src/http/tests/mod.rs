//! The door in front of a house that answers as each test asks it to.

mod answers;
mod audit;
mod bodies;
mod document;
mod entry;
mod headers;
pub mod house;
mod pages;
mod resources;
mod stock;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Service;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{self, TestRequest};
use codeccloud_actors::testing::{ManualClock, SeededIds, time};
use serde_json::{Value, json};

use super::{Door, Limits, app};
use house::House;

const KEY: &str = "0123456789abcdef";
const BOOKING: &str = "00000000-0000-0000-0000-00000000b00c";
/// The customer of the house's bookings; `house::user` gives this id to tokens of the role `customer`.
const CUSTOMER: &str = "00000000-0000-0000-0000-0000000000c5";
/// Nobody of whom the salon has ever heard.
const STRANGER: &str = "00000000-0000-0000-0000-00000000dead";

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    /// Every problem has the whole shape; returns its fields with errors.
    fn problem(&self, status: u16, slug: &str) -> Vec<String> {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body = self.json();
        assert_eq!(body["type"], format!("https://codeccloud.ch/problems/{slug}"));
        assert_eq!(body["status"], status);
        assert_eq!(body["requestId"].as_str(), self.header("x-request-id"));
        assert!(body["instance"].as_str().is_some_and(|path| path.starts_with('/')));
        assert!(["title", "detail"].iter().all(|field| body[field].as_str().is_some_and(|text| !text.is_empty())));
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().expect("a path").to_owned()).collect()
    }
}

fn door(house: &Arc<House>) -> Door {
    Door {
        commands: house.clone(),
        queries: house.clone(),
        reference: house.clone(),
        customers: house.clone(),
        audit: house.clone(),
        webhooks: house.clone(),
        authenticator: house.clone(),
        readiness: house.clone(),
        rate_limiter: None,
        metrics: Arc::new(|| "codeccloud_up 1\n".to_owned()),
        clock: Arc::new(ManualClock::at(time("2027-03-01T08:00:00Z"))),
        ids: Arc::new(SeededIds::new(1)),
        limits: Limits {
            request: Duration::from_millis(300),
            shutdown: Duration::from_secs(1),
            workers: 1,
            body_bytes: 64 * 1024,
        },
        cors_origins: vec!["https://salon.example".to_owned()],
    }
}

async fn send_to(door: Door, request: TestRequest) -> Reply {
    send_all(door, vec![request]).await.remove(0)
}

/// No answer has a header that the document doesn't know.
async fn send_all(door: Door, requests: Vec<TestRequest>) -> Vec<Reply> {
    let app = test::init_service(app(Arc::new(door), |_| {})).await;
    let mut replies = Vec::new();
    for request in requests {
        let request = request.to_request();
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let response = app.call(request).await.expect("problems are answers, not errors");
        let (status, headers) = (response.status(), response.headers().clone());
        document::check_headers(&method, &path, status, &headers);
        replies.push(Reply { status, headers, body: test::read_body(response).await.to_vec() });
    }
    replies
}

async fn send(house: &Arc<House>, request: TestRequest) -> Reply {
    send_to(door(house), request).await
}

/// As the owner; others say so with [`as_role`].
fn get(uri: &str) -> TestRequest {
    as_role(TestRequest::get().uri(uri), "owner")
}

fn post(uri: &str, body: &Value) -> TestRequest {
    as_role(TestRequest::post().uri(uri), "owner").insert_header(("idempotency-key", KEY)).set_json(body)
}

fn as_role(request: TestRequest, role: &str) -> TestRequest {
    let workspace = house::tenant_id().to_string();
    request.insert_header(("authorization", format!("Bearer {role}"))).insert_header(("x-workspace-id", workspace))
}

fn new_booking() -> Value {
    json!({
        "serviceId": "00000000-0000-0000-0000-000000000051",
        "staffId": "00000000-0000-0000-0000-00000000000a",
        "slotStart": "2027-03-01T10:00:00+01:00",
        "slotEnd": "2027-03-01T10:00:00.000Z",
        "price": { "currency": "CHF", "amount": 8000 },
        "customer": {
            "id": CUSTOMER, "email": "anna@example.ch", "phone": "+41 79 000 00 00",
            "firstName": "Anna", "lastName": "Muster",
        },
        "notes": "window seat",
        "fieldOfAnotherFrontEnd": true,
    })
}

/// The booking with one field changed, by its path with `/`; `null` takes it away.
fn booking_with(path: &str, value: Value) -> Value {
    let mut body = new_booking();
    let (parent, field) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = if parent.is_empty() { &mut body } else { &mut body[parent] };
    let parent = parent.as_object_mut().expect("an object");
    parent.remove(field);
    if !value.is_null() {
        parent.insert(field.to_owned(), value);
    }
    body
}
