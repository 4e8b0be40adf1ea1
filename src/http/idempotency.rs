use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use codeccloud_actors::ids::UserId;
use sha2::{Digest, Sha256};

use super::problem::{Problem, Slug};

pub static KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub static REPLAY: HeaderName = HeaderName::from_static("x-idempotent-replay");

pub const KEY_LENGTH_MIN: usize = 16;
pub const KEY_LENGTH_MAX: usize = 255;

pub fn key(request: &HttpRequest) -> Result<&str, Problem> {
    let missing = || Problem::new(Slug::BadRequest, "the header Idempotency-Key is required");
    let key = request.headers().get(&KEY).ok_or_else(missing)?;
    key.to_str().ok().filter(|key| (KEY_LENGTH_MIN..=KEY_LENGTH_MAX).contains(&key.len())).ok_or_else(|| {
        let detail = format!("Idempotency-Key must have {KEY_LENGTH_MIN} to {KEY_LENGTH_MAX} visible characters");
        Problem::new(Slug::BadRequest, detail)
    })
}

/// Two requests with one key are the same request when this is the same: the same user asks for the same. What another was
/// answered may not be for this one's eyes. Tokens change, so it is by the user.
pub fn users_hash(user_id: UserId, request_hash: [u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(user_id.0).chain_update(request_hash).finalize().into()
}

/// Of what is asked.
pub fn request_hash(request: &HttpRequest, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [request.method().as_str().as_bytes(), request.path().as_bytes()] {
        hash.update(part);
        // Neither a method nor a path holds one, so that no two requests run together.
        hash.update([0]);
    }
    hash.update(body);
    hash.finalize().into()
}
