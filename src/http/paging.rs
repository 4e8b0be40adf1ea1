//! Lists come in pages. A cursor is opaque to clients and names the last item of the page before, so that what is added
//! or taken away meanwhile neither repeats nor hides anything.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::problem::Problem;
use super::validate::{FieldError, FieldErrors};

pub const LIMIT_MAX: u32 = 200;
pub const LIMIT_DEFAULT: u32 = 50;

/// Answers of lists that this server adds; those of the MVP stay bare arrays.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listing<T> {
    pub data: Vec<T>,
    /// For the parameter `cursor`; null on the last page.
    pub next_cursor: Option<String>,
}

impl<T> Listing<T> {
    pub fn whole(data: Vec<T>) -> Listing<T> {
        Listing { data, next_cursor: None }
    }
}

pub fn limit(asked: Option<u32>) -> usize {
    usize::try_from(asked.unwrap_or(LIMIT_DEFAULT)).expect("validated to be small")
}

pub fn check_limit(errors: &mut FieldErrors, asked: Option<u32>) {
    errors.within("limit", asked.unwrap_or(LIMIT_DEFAULT), 1..=LIMIT_MAX);
}

pub fn unreadable_cursor() -> Problem {
    Problem::invalid(vec![FieldError::new("cursor", "must be a cursor of an earlier page")])
}

/// A bare array, with the next page in the header `Link`.
pub fn bare<T: Serialize>(request: &HttpRequest, page: Listing<T>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = page.next_cursor {
        response.insert_header((header::LINK, link_to_next(request, &cursor)));
    }
    response.json(page.data)
}

fn link_to_next(request: &HttpRequest, cursor: &str) -> HeaderValue {
    let kept = request.query_string().split('&').filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let query: Vec<&str> = kept.collect();
    let next = format!("cursor={cursor}");
    let query = [query.as_slice(), &[next.as_str()]].concat().join("&");
    HeaderValue::from_bytes(format!("<{}?{query}>; rel=\"next\"", request.path()).as_bytes())
        .expect("a request line holds no control characters")
}

impl<T> Listing<T> {
    pub fn map<U>(self, each: impl Fn(T) -> U) -> Listing<U> {
        Listing { data: self.data.into_iter().map(each).collect(), next_cursor: self.next_cursor }
    }
}

/// A page of a small list that is in memory as a whole, ordered by name, then id. The cursor holds both of the last item,
/// which may be gone, or hidden, when the next page is asked for.
pub fn by_name<T>(mut items: Vec<(&str, Uuid, T)>, cursor: Option<&str>, limit: usize) -> Result<Listing<T>, Problem> {
    items.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let first = match cursor {
        None => 0,
        Some(cursor) => {
            let (name, id) = read_cursor(cursor).ok_or_else(unreadable_cursor)?;
            items.partition_point(|item| (item.0, item.1) <= (name.as_str(), id))
        }
    };
    let more = items.len() > first + limit;
    let page: Vec<(&str, Uuid, T)> = items.into_iter().skip(first).take(limit).collect();
    let next_cursor = page.last().filter(|_| more).map(|(name, id, _)| format!("{id}.{}", BASE64.encode(name)));
    Ok(Listing { data: page.into_iter().map(|(_, _, item)| item).collect(), next_cursor })
}

fn read_cursor(cursor: &str) -> Option<(String, Uuid)> {
    let (id, name) = cursor.split_once('.')?;
    Some((String::from_utf8(BASE64.decode(name).ok()?).ok()?, id.parse().ok()?))
}
