//! One span per request, as part of the trace that the client began (W3C `traceparent`). No personal data: neither query
//! nor body nor customer.

use actix_web::HttpRequest;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::Context;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::request_id;
use super::route::Route;

const TRACEPARENT: &str = "traceparent";

pub fn request_span(route: &Route, request: &HttpRequest) -> Span {
    let span = tracing::info_span!(
        "request",
        otel.name = Empty,
        otel.kind = "server",
        method = route.verb.as_str(),
        route = route.path,
        request_id = Empty,
        tenant_id = Empty,
        status = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    span.record("otel.name", format!("{} {}", route.verb.as_str(), route.path));
    span.record("request_id", request_id::of(request));
    if let Some(parent) = incoming(request).and_then(parse) {
        // Fails only where no exporter is set up, and then nobody asks for the trace.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    span
}

/// What goes with a command: this request's span where traces are exported, else what the client sent.
pub fn traceparent(request: &HttpRequest) -> Option<String> {
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    if !span.is_valid() {
        return incoming(request).filter(|text| parse(text).is_some()).map(str::to_owned);
    }
    Some(format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags()))
}

fn incoming(request: &HttpRequest) -> Option<&str> {
    request.headers().get(TRACEPARENT)?.to_str().ok()
}

fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Later versions may add parts behind these; version 255 is forbidden.
    if [version.len(), trace.len(), span.len(), flags.len()] != [2, 32, 16, 2] || version == "ff" {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_taken_over_only_when_it_is_whole() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed = parse(trace).expect("the example of the specification");
        assert_eq!(parsed.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(parsed.is_sampled() && parsed.is_remote());
        for broken in ["", "00-4bf9-00f067aa0ba902b7-01", &trace.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32))] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
