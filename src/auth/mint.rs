use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::{TenantId, UserId};
use codeccloud_actors::time::Timestamp;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

/// What a minted token says.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    pub user_id: UserId,
    pub tenant_id: TenantId,
    pub role: Role,
}

/// A token signed with the shared secret (HS256), as the command line hands them out.
pub fn mint(secret: &str, grant: Grant, now: Timestamp, valid_seconds: i64) -> String {
    #[derive(Serialize)]
    struct Payload {
        sub: UserId,
        tenant_id: TenantId,
        role: Role,
        iat: i64,
        exp: i64,
    }
    let iat = now.as_millis().div_euclid(1000);
    let Grant { user_id, tenant_id, role } = grant;
    let payload = Payload { sub: user_id, tenant_id, role, iat, exp: iat.saturating_add(valid_seconds) };
    encode(&Header::default(), &payload, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("HS256 signs with any secret, and the payload is plain JSON")
}
