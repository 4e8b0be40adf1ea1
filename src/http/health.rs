use actix_web::HttpResponse;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::Serialize;

use super::Door;

#[derive(Serialize, JsonSchema)]
pub struct Health {
    /// `ok`, or `unavailable` with status 503.
    pub status: &'static str,
    /// The dependencies that are not there.
    pub missing: Vec<String>,
    /// What works, but not for every tenant, or not as well, and needs an operator; the server can serve all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<String>,
}

/// Says that the process answers, and nothing more: a missing database is no reason to restart it.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok", missing: Vec::new(), degraded: Vec::new() })
}

pub async fn ready(door: Data<Door>) -> HttpResponse {
    let missing = door.readiness.missing().await;
    let degraded = door.readiness.degraded();
    if missing.is_empty() {
        HttpResponse::Ok().json(Health { status: "ok", missing, degraded })
    } else {
        HttpResponse::ServiceUnavailable().json(Health { status: "unavailable", missing, degraded })
    }
}

pub async fn metrics(door: Data<Door>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body((door.metrics)())
}
