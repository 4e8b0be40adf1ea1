//! What no route of the table answers: measured and traced as if it were one route, so that whoever tries out paths makes
//! no series of their own.

use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};

use super::metrics::RouteMetrics;
use super::problem::{MEDIA_TYPE, Problem, Slug};
use super::route::Verb;
use super::{request_id, trace};

const LABEL: &str = "unmatched";

pub async fn unknown_route(request: HttpRequest) -> HttpResponse {
    let started = Instant::now();
    let response = Problem::not_found("the resource").respond(&request);
    observe(&request, response.status(), started);
    response
}

/// Of a resource with other methods than these.
pub fn unknown_method(request: &HttpRequest, known: &[Verb]) -> HttpResponse {
    let started = Instant::now();
    let allowed = known.iter().map(|verb| verb.as_str()).collect::<Vec<_>>().join(", ");
    let allow = HeaderValue::from_str(&allowed).expect("verbs are ASCII");
    let problem = Problem::new(Slug::MethodNotAllowed, format!("this resource knows {allowed}"));
    let response = problem.with_header(header::ALLOW, allow).respond(request);
    observe(request, response.status(), started);
    response
}

/// A layer for what the framework refuses before any code of ours is asked, in plain text or without a word: the preflight
/// of a page that may not call us, most of all.
pub async fn explain<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let started = Instant::now();
    let response = next.call(request).await?;
    let status = response.status();
    if !status.is_client_error() || response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| !is_plain(kind)) {
        return Ok(response.map_into_left_body());
    }
    observe(response.request(), status, started);
    let problem = refused(status, response.response().error());
    let json = problem.json(&request_id::of(response.request()), response.request().path());
    Ok(response.map_body(|head, _| {
        head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        EitherBody::right(BoxBody::new(json))
    }))
}

fn is_plain(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"text/plain")
}

fn refused(status: StatusCode, error: Option<&Error>) -> Problem {
    let slug = match status {
        StatusCode::NOT_FOUND => Slug::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Slug::MethodNotAllowed,
        _ => Slug::BadRequest,
    };
    Problem::new(slug, error.map_or_else(|| slug.title().to_owned(), Error::to_string))
}

fn observe(request: &HttpRequest, status: StatusCode, started: Instant) {
    let method = known(request.method());
    let span = trace::request_span(&format!("{method} {LABEL}"), method, LABEL, request);
    span.record("status", status.as_u16());
    RouteMetrics::of(method, LABEL).record(status, started.elapsed());
}

/// Methods are whatever a client writes.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::OPTIONS => "OPTIONS",
        Method::HEAD => "HEAD",
        _ => Verb::of(method).map_or("other", Verb::as_str),
    }
}
