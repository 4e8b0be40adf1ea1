//! Versions as entity tags: a number such as `"7"` where there is one, else a hash of the content.

use std::fmt::Write;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::Version;
use codeccloud_actors::reference::TenantReference;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::{Problem, Slug};
use crate::ports::Precondition;

/// Enough that no two states of one resource ever share a tag.
const HASH_BYTES: usize = 12;

pub fn of(version: Version) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits and quotes")
}

/// For what has no version of its own.
pub fn of_content(content: &impl Serialize) -> HeaderValue {
    let hash = Sha256::digest(serde_json::to_vec(content).expect("answers are JSON"));
    let mut tag = String::from("\"");
    for byte in &hash[..HASH_BYTES] {
        write!(tag, "{byte:02x}").expect("a String takes any text");
    }
    tag.push('"');
    HeaderValue::from_str(&tag).expect("digits, letters and quotes")
}

/// The resource with its tag, or that the caller has just this one already, by `If-None-Match`.
pub fn respond(request: &HttpRequest, tag: HeaderValue, content: &impl Serialize) -> HttpResponse {
    if is_known(request, &tag) {
        return HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish();
    }
    HttpResponse::Ok().insert_header((header::ETAG, tag)).json(content)
}

/// The version that the caller has seen; `*` asks for any.
pub fn if_match(request: &HttpRequest) -> Result<Option<Version>, Problem> {
    let Some(header) = request.headers().get(header::IF_MATCH) else { return Ok(None) };
    let text = header.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = tag.and_then(|digits| digits.parse().ok());
    let malformed = || Problem::new(Slug::BadRequest, "If-Match must be one ETag of ours, such as \"7\"");
    version.map(|version| Some(Version(version))).ok_or_else(malformed)
}

/// What `If-Match` asks of reference data, whose tag is made of its `content`.
pub fn if_match_content<T: Serialize>(
    request: &HttpRequest,
    content: impl Fn(&TenantReference) -> Option<T> + Send + Sync + 'static,
) -> Option<Precondition> {
    let seen = request.headers().get(header::IF_MATCH).filter(|seen| seen.as_bytes() != b"*")?.clone();
    Some(Arc::new(move |reference| content(reference).is_some_and(|content| of_content(&content) == seen)))
}

fn is_known(request: &HttpRequest, tag: &HeaderValue) -> bool {
    let Some(header) = request.headers().get(header::IF_NONE_MATCH) else { return false };
    header.to_str().unwrap_or_default().split(',').map(str::trim).any(|known| {
        let opaque = known.strip_prefix("W/").unwrap_or(known);
        known == "*" || opaque.as_bytes() == tag.as_bytes()
    })
}
