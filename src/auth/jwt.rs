use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::{TenantId, UserId};
use codeccloud_actors::time::Timestamp;
use jsonwebtoken::crypto::verify;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::decode_header;
use serde::Deserialize;

use super::TokenKeys;

/// How far the issuer's clock may be from ours.
const LEEWAY_MS: i64 = 30_000;

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub user_id: UserId,
    pub tenant_id: TenantId,
    /// The strongest of those that the token names.
    pub role: Role,
    /// `None` when the token doesn't say.
    pub issued_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    /// The name of the key that verified it.
    pub kid: Option<String>,
}

/// Why a token was refused, for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("it is no JWT")]
    Malformed,
    #[error("it asks for extensions of JWT that are not known here")]
    UnknownExtension,
    #[error("there is no key for its algorithm and key id")]
    NoKey,
    #[error("its signature is wrong")]
    WrongSignature,
    #[error("its claims are not as expected: {0}")]
    BadClaims(String),
    #[error("it has no role that is known here")]
    NoRole,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYetValid,
}

#[derive(Deserialize)]
struct RawClaims {
    sub: UserId,
    tenant_id: TenantId,
    role: Option<String>,
    roles: Option<Vec<String>>,
    iat: Option<Seconds>,
    exp: Seconds,
    nbf: Option<Seconds>,
}

/// Since 1970; fractions are allowed (RFC 7519, `NumericDate`).
#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
struct Seconds(f64);

impl Seconds {
    fn timestamp(self) -> Timestamp {
        // A cast of a float saturates, and so does adding to a timestamp.
        Timestamp::from_millis((self.0 * 1000.0) as i64)
    }
}

impl TokenKeys {
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::UnknownExtension);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let mut refusal = TokenError::NoKey;
        for key in self.candidates(header.kid.as_deref(), header.alg) {
            // Not the library's `decode`: it takes the header and the claims apart two or three times over, to check what
            // is checked here against the injected clock.
            if verify(signature, message.as_bytes(), &key.key, key.algorithm).map_err(|_| TokenError::Malformed)? {
                return Claims::checked(claims_of_verified(token)?, key.kid.clone(), now);
            }
            refusal = TokenError::WrongSignature;
        }
        Err(refusal)
    }
}

impl Claims {
    pub(super) fn unless_expired(self, now: Timestamp) -> Result<Claims, TokenError> {
        if self.expires_at.plus_millis(LEEWAY_MS) <= now { Err(TokenError::Expired) } else { Ok(self) }
    }

    fn checked(raw: RawClaims, kid: Option<String>, now: Timestamp) -> Result<Claims, TokenError> {
        if raw.nbf.is_some_and(|from| now.plus_millis(LEEWAY_MS) < from.timestamp()) {
            return Err(TokenError::NotYetValid);
        }
        let names = raw.role.into_iter().chain(raw.roles.into_iter().flatten());
        let role = names.filter_map(|name| Role::parse(&name)).max_by_key(|&role| strength(role));
        let claims = Claims {
            user_id: raw.sub,
            tenant_id: raw.tenant_id,
            role: role.ok_or(TokenError::NoRole)?,
            issued_at: raw.iat.map(Seconds::timestamp),
            expires_at: raw.exp.timestamp(),
            kid,
        };
        claims.unless_expired(now)
    }
}

fn strength(role: Role) -> u8 {
    match role {
        Role::Customer => 0,
        Role::Service => 1,
        Role::Staff => 2,
        Role::Manager => 3,
        Role::Owner => 4,
        Role::Operator => 5,
    }
}

/// The library calls this insecure, because it leaves checking the signature to its caller.
fn claims_of_verified(token: &str) -> Result<RawClaims, TokenError> {
    insecure_decode_claims(token).map_err(|error| TokenError::BadClaims(error.to_string()))
}
