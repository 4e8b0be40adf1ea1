//! Whatever goes wrong, said as RFC 9457 wants it. `map.rs` is the one place where an error gets its status.

mod map;

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;

use super::request_id;
use super::validate::FieldError;

pub const MEDIA_TYPE: &str = "application/problem+json";

#[derive(Debug, Clone)]
pub struct Problem {
    pub slug: Slug,
    pub detail: String,
    pub errors: Vec<FieldError>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slug {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    IdempotencyConflict,
    PreconditionFailed,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationError,
    RateLimited,
    InternalError,
    Unavailable,
}

/// The body of every answer that reports a problem.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Problem")]
pub struct ProblemBody<'a> {
    /// `https://codeccloud.ch/problems/<slug>`
    #[serde(rename = "type")]
    pub kind: String,
    pub title: &'a str,
    pub status: u16,
    pub detail: &'a str,
    /// The path that was asked for.
    pub instance: &'a str,
    pub request_id: &'a str,
    /// With status 422: what is wrong with which field.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schemars(default)]
    pub errors: &'a [FieldError],
}

impl Problem {
    pub fn new(slug: Slug, detail: impl Into<String>) -> Problem {
        Problem { slug, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    pub fn not_found(what: &str) -> Problem {
        Problem::new(Slug::NotFound, format!("{what} not found"))
    }

    pub fn invalid(errors: Vec<FieldError>) -> Problem {
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("the request is not valid: {}", fields.join(", "));
        Problem { errors, ..Problem::new(Slug::ValidationError, detail) }
    }

    pub fn unavailable(detail: impl Into<String>, retry_after_seconds: u32) -> Problem {
        Problem::new(Slug::Unavailable, detail).with_header(header::RETRY_AFTER, retry_after_seconds.into())
    }

    /// The cause is for the log; the client learns nothing of it.
    pub fn internal(cause: &dyn fmt::Display) -> Problem {
        tracing::error!(%cause, "a request failed");
        Problem::new(Slug::InternalError, "something went wrong on our side")
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.headers.push((name, value));
        self
    }

    pub fn json(&self, request_id: &str, instance: &str) -> Vec<u8> {
        let body = ProblemBody {
            kind: format!("https://codeccloud.ch/problems/{}", self.slug.as_str()),
            title: self.slug.title(),
            status: self.slug.status(),
            detail: &self.detail,
            instance,
            request_id,
            errors: &self.errors,
        };
        serde_json::to_vec(&body).expect("a problem is plain text")
    }

    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type(MEDIA_TYPE);
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response.body(self.json(&request_id::of(request), request.path()))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug.as_str())
    }
}

/// Handlers and extractors fail with a problem; the gate, which knows the request, writes the body.
impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.slug.status()).expect("slugs have HTTP statuses")
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(self.status_code())
    }
}

impl Slug {
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    pub fn status(self) -> u16 {
        self.row().1
    }

    pub fn title(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Slug::BadRequest => ("bad-request", 400, "Bad request"),
            Slug::Unauthorized => ("unauthorized", 401, "Unauthorized"),
            Slug::Forbidden => ("forbidden", 403, "Forbidden"),
            Slug::NotFound => ("not-found", 404, "Not found"),
            Slug::MethodNotAllowed => ("method-not-allowed", 405, "Method not allowed"),
            Slug::Conflict => ("conflict", 409, "Conflict"),
            Slug::IdempotencyConflict => ("idempotency-conflict", 409, "Idempotency conflict"),
            Slug::PreconditionFailed => ("precondition-failed", 412, "Precondition failed"),
            Slug::PayloadTooLarge => ("payload-too-large", 413, "Payload too large"),
            Slug::UnsupportedMediaType => ("unsupported-media-type", 415, "Unsupported media type"),
            Slug::ValidationError => ("validation-error", 422, "Validation error"),
            Slug::RateLimited => ("rate-limited", 429, "Too many requests"),
            Slug::InternalError => ("internal-error", 500, "Internal error"),
            Slug::Unavailable => ("unavailable", 503, "Unavailable"),
        }
    }
}
