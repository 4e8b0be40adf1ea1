//! Versions as entity tags: `"7"`.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use codeccloud_actors::ids::Version;

use super::problem::{Problem, Slug};

pub fn of(version: Version) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits and quotes")
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

/// Whether the caller has that version already, by `If-None-Match`.
pub fn is_known(request: &HttpRequest, version: Version) -> bool {
    let Some(header) = request.headers().get(header::IF_NONE_MATCH) else { return false };
    let ours = version.to_string();
    header.to_str().unwrap_or_default().split(',').map(str::trim).any(|tag| {
        let digits = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == "*" || digits == ours
    })
}
