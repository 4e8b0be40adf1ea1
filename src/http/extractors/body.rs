use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use super::{depth, field_error};
use crate::http::problem::{Problem, Slug};
use crate::http::validate::{FieldError, FieldErrors, Validate};
use crate::http::{Door, idempotency};

const DEPTH_MAX: usize = 32;

/// A JSON object, read and validated. Fields that we don't know are ignored: front-ends may send more.
pub struct Body<T> {
    pub value: T,
    pub request_hash: [u8; 32],
}

/// For calls that say everything by their path; whatever JSON comes with them is only hashed.
pub struct EmptyBody {
    pub request_hash: [u8; 32],
}

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read(&request, payload).await?;
            demand_json(&request)?;
            let value: T = parse(&bytes)?;
            FieldErrors::of(&value)?;
            Ok(Body { value, request_hash: idempotency::request_hash(&request, &bytes) })
        })
    }
}

impl FromRequest for EmptyBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read(&request, payload).await?;
            if !bytes.is_empty() {
                demand_json(&request)?;
                bound_depth(&bytes)?;
                serde_json::from_slice::<IgnoredAny>(&bytes).map_err(|error| broken(&error))?;
            }
            Ok(EmptyBody { request_hash: idempotency::request_hash(&request, &bytes) })
        })
    }
}

async fn read(request: &HttpRequest, mut payload: Payload) -> Result<Vec<u8>, Problem> {
    let door = request.app_data::<Data<Door>>().expect("every resource has the door");
    let bytes_max = door.limits.body_bytes;
    let too_large = || Problem::new(Slug::PayloadTooLarge, format!("a body may have {bytes_max} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > bytes_max) {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(announced.unwrap_or_default());
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::new(Slug::BadRequest, "the body broke off"))?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn demand_json(request: &HttpRequest) -> Result<(), Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    if media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(Slug::UnsupportedMediaType, "the body must be application/json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    bound_depth(bytes)?;
    // serde would also take an array of the fields' values.
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') && serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return Err(Problem::invalid(vec![FieldError::new("", "the body must be a JSON object")]));
    }
    // Keeping track of the field costs as much as reading it, so it is done only when something is wrong.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| match error.inner().classify() {
        Category::Data => Problem::invalid(vec![field_error(error.path(), &error.inner().to_string())]),
        Category::Syntax | Category::Eof | Category::Io => broken(error.inner()),
    })?;
    json.end().map_err(|error| broken(&error))?;
    Ok(value)
}

fn bound_depth(bytes: &[u8]) -> Result<(), Problem> {
    if depth::is_within(bytes, DEPTH_MAX) {
        return Ok(());
    }
    Err(Problem::new(Slug::BadRequest, format!("JSON may be nested {DEPTH_MAX} levels deep")))
}

fn broken(error: &serde_json::Error) -> Problem {
    let place = format!("the body is no valid JSON: line {}, column {}", error.line(), error.column());
    Problem::new(Slug::BadRequest, place)
}
