//! `X-Request-ID`: the client's, or one that we make up. It is in every answer, problem and log line.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use codeccloud_actors::ports::Ids;

pub static HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are not taken over: they end up in every log line.
const LENGTH_MAX: usize = 128;

#[derive(Clone)]
struct RequestId(HeaderValue);

/// The outermost layer, so that answers to preflights and unknown routes have one too.
pub async fn assign<B: MessageBody>(
    ids: &dyn Ids,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let id = request.headers().get(&HEADER).filter(|id| is_sane(id)).cloned();
    let id = id.unwrap_or_else(|| made_up(ids));
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.call(request).await?;
    response.headers_mut().insert(HEADER.clone(), id);
    Ok(response)
}

pub fn of(request: &HttpRequest) -> String {
    let id = header(request);
    id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned()
}

pub fn header(request: &HttpRequest) -> Option<HeaderValue> {
    request.extensions().get::<RequestId>().map(|id| id.0.clone())
}

fn is_sane(id: &HeaderValue) -> bool {
    (1..=LENGTH_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn made_up(ids: &dyn Ids) -> HeaderValue {
    HeaderValue::from_str(ids.uuid().hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))
        .expect("a UUID is ASCII")
}
