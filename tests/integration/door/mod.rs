//! The wire contract, row by row, at the door of a real server.

mod access;
mod changes;
mod edges;
mod inputs;
mod points;
mod slots;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Salon, Server, TestDir, key, token};

const NOWHERE: &str = "00000000-0000-4000-8000-0000000000ff";

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Every problem has the whole shape; returns its fields with errors.
    fn problem(&self, status: u16, slug: &str, what: &str) -> Vec<&str> {
        let Answer { body, .. } = self;
        assert_eq!((self.status, &body["status"]), (status, &json!(status)), "{what}: {body}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{what}");
        assert_eq!(body["type"], format!("https://codeccloud.ch/problems/{slug}"), "{what}");
        assert!(["title", "detail", "instance"].iter().all(|field| body[field].is_string()), "{what}: {body}");
        assert_eq!(body["requestId"].as_str(), self.header("x-request-id"), "{what}");
        body["errors"].as_array().into_iter().flatten().map(|error| error["field"].as_str().unwrap()).collect()
    }
}

async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null);
    Answer { status, headers, body }
}

fn request(server: &Server, salon: &Salon, method: Method, path: &str) -> RequestBuilder {
    let request = server.client.request(method, format!("{}{path}", server.url));
    request.bearer_auth(&salon.token).header("X-Workspace-ID", &salon.tenant_id).header("Idempotency-Key", key())
}

async fn send(server: &Server, salon: &Salon, method: Method, path: &str, body: &Value) -> Answer {
    let request = request(server, salon, method, path).header("Content-Type", "application/json");
    answer(request.body(body.to_string())).await
}

async fn post(server: &Server, salon: &Salon, path: &str, body: &Value) -> Answer {
    send(server, salon, Method::POST, path, body).await
}

async fn get(server: &Server, salon: &Salon, path: &str) -> Answer {
    answer(request(server, salon, Method::GET, path)).await
}

/// The salon as a person of that role sees it.
fn as_role(salon: &Salon, dir: &TestDir, role: &str) -> Salon {
    Salon { token: token(dir.path(), &salon.tenant_id, role), ..salon.clone() }
}

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    *body.pointer_mut(pointer).unwrap() = value;
    body
}
