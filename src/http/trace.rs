//! One span per request, as part of the trace that the client began. No personal data: neither query nor body.

use actix_web::HttpRequest;
use tracing::Span;
use tracing::field::Empty;

use super::request_id;
use crate::telemetry;

const TRACEPARENT: &str = "traceparent";

/// On the level of errors, so that a log of nothing but them says which request failed too. `name` is what traces call it.
pub fn request_span(name: &str, method: &'static str, route: &'static str, request: &HttpRequest) -> Span {
    let id = request_id::header(request);
    // All that is known already in one go: the log formats a span's fields anew with each call that adds some.
    let span = tracing::error_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        method,
        route,
        request_id = id.as_ref().and_then(|id| id.to_str().ok()),
        tenant_id = Empty,
        status = Empty,
    );
    if let Some(traceparent) = incoming(request).filter(|_| !span.is_disabled()) {
        telemetry::set_parent(&span, traceparent);
    }
    span
}

/// What goes with a command: this request's span where traces are exported, else what the client sent.
pub fn traceparent(request: &HttpRequest) -> Option<String> {
    telemetry::traceparent_of(&Span::current()).or_else(|| incoming(request).map(str::to_owned))
}

/// A W3C trace context has a fixed form; what is longer is not taken over into events.
fn incoming(request: &HttpRequest) -> Option<&str> {
    const LENGTH: usize = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".len();
    request.headers().get(TRACEPARENT)?.to_str().ok().filter(|text| text.len() == LENGTH)
}
