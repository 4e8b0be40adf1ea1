use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What HS256 asks for (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("neither a shared secret nor a key set is given: no token could be verified")]
    NoKeys,
    #[error("a shared secret must have at least {SECRET_BYTES_MIN} bytes")]
    ShortSecret,
    #[error("the key set is not a JWKS: {0}")]
    Malformed(String),
    #[error("the key set holds no key for HS256, RS256, ES256 or EdDSA")]
    NoUsableKey,
    #[error("the key {0:?} of the key set is damaged")]
    DamagedKey(String),
}

/// The keys that sign tokens, several valid at once so that they can be rotated.
pub struct TokenKeys {
    keys: Vec<TokenKey>,
}

/// A key serves one algorithm, which its type decides. What a token claims to be signed with only picks among the keys, so
/// a public key is never taken for a shared secret.
pub(super) struct TokenKey {
    pub kid: Option<String>,
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

impl TokenKeys {
    /// `jwks` is the JSON of a key set; keys of it that are for something else are left out, as RFC 7517 asks.
    pub fn new(secret: Option<&str>, jwks: Option<&str>) -> Result<TokenKeys, KeySetError> {
        let mut keys = Vec::new();
        if let Some(secret) = secret {
            keys.push(TokenKey::shared(None, secret.as_bytes())?);
        }
        if let Some(jwks) = jwks {
            keys.extend(key_set(jwks)?);
        }
        if keys.is_empty() {
            return Err(KeySetError::NoKeys);
        }
        Ok(TokenKeys { keys })
    }

    /// The keys that the token names, else those without a name: an issuer may put a name on tokens that it signs with the
    /// shared secret. A token that names none may be signed by any.
    pub(super) fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &TokenKey> {
        let named = kid.filter(|_| self.keys.iter().any(|key| key.kid.as_deref() == kid));
        self.keys.iter().filter(move |key| key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == named))
    }
}

impl TokenKey {
    fn shared(kid: Option<String>, secret: &[u8]) -> Result<TokenKey, KeySetError> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(KeySetError::ShortSecret);
        }
        Ok(TokenKey { kid, algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) })
    }

    /// `None` for a key that serves something else.
    fn from_jwk(jwk: &Jwk) -> Result<Option<TokenKey>, KeySetError> {
        let Some((algorithm, declared_as)) = algorithm_of(jwk) else { return Ok(None) };
        let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let declared = jwk.common.key_algorithm.is_none_or(|declared| declared == declared_as);
        if !for_signatures || !declared {
            return Ok(None);
        }
        let kid = jwk.common.key_id.clone();
        let damaged = || KeySetError::DamagedKey(kid.clone().unwrap_or_default());
        let key = DecodingKey::from_jwk(jwk).map_err(|_| damaged())?;
        if algorithm == Algorithm::HS256 {
            return TokenKey::shared(kid.clone(), key.try_get_as_bytes().map_err(|_| damaged())?).map(Some);
        }
        // Verifying anything parses the key: better now than with the first token.
        jsonwebtoken::crypto::verify("", b"", &key, algorithm).map_err(|_| damaged())?;
        Ok(Some(TokenKey { kid, algorithm, key }))
    }
}

fn algorithm_of(jwk: &Jwk) -> Option<(Algorithm, KeyAlgorithm)> {
    if let AlgorithmParameters::OctetKey(_) = &jwk.algorithm {
        return Some((Algorithm::HS256, KeyAlgorithm::HS256));
    }
    if let AlgorithmParameters::RSA(_) = &jwk.algorithm {
        return Some((Algorithm::RS256, KeyAlgorithm::RS256));
    }
    if let AlgorithmParameters::EllipticCurve(key) = &jwk.algorithm {
        return (key.curve == EllipticCurve::P256).then_some((Algorithm::ES256, KeyAlgorithm::ES256));
    }
    if let AlgorithmParameters::OctetKeyPair(key) = &jwk.algorithm {
        return (key.curve == EllipticCurve::Ed25519).then_some((Algorithm::EdDSA, KeyAlgorithm::EdDSA));
    }
    None
}

fn key_set(jwks: &str) -> Result<Vec<TokenKey>, KeySetError> {
    #[derive(Deserialize)]
    struct KeySet<'a> {
        #[serde(borrow)]
        keys: Vec<&'a RawValue>,
    }
    let set: KeySet<'_> = serde_json::from_str(jwks).map_err(|error| KeySetError::Malformed(error.to_string()))?;
    let mut keys = Vec::new();
    for text in set.keys {
        // One of a kind that is not known here doesn't spoil the others.
        let Ok(jwk) = serde_json::from_str::<Jwk>(text.get()) else { continue };
        keys.extend(TokenKey::from_jwk(&jwk)?);
    }
    if keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(keys) }
}
