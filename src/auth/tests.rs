use std::sync::Arc;

use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::{TenantId, UserId};
use codeccloud_actors::testing::ManualClock;
use codeccloud_actors::time::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Grant, KeySetError, TokenAuthenticator, TokenError, TokenKeys, mint};
use crate::ports::{Authenticator, InvalidToken};

const SECRET: &str = "the secret that is shared with the issuer";
const JWKS: &str = include_str!("testdata/jwks.json");
const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);
const USER: UserId = UserId(Uuid::from_u128(7));
const TENANT: TenantId = TenantId(Uuid::from_u128(9));

fn keys() -> TokenKeys {
    TokenKeys::new(Some(SECRET), Some(JWKS)).unwrap()
}

fn claims() -> Value {
    json!({ "sub": USER, "tenant_id": TENANT, "role": "staff", "exp": NOW.as_millis() / 1000 + 60 })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn signed(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, claims, key).unwrap()
}

fn shared(claims: &Value) -> String {
    signed(Algorithm::HS256, None, &EncodingKey::from_secret(SECRET.as_bytes()), claims)
}

fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_pem(include_bytes!("testdata/rsa.pem")).unwrap()
}

fn refusal(token: &str) -> TokenError {
    keys().verify(token, NOW).unwrap_err()
}

#[test]
fn each_kind_of_key_verifies_its_own_algorithm() {
    let ec = EncodingKey::from_ec_pem(include_bytes!("testdata/ec.pem")).unwrap();
    let ed = EncodingKey::from_ed_pem(include_bytes!("testdata/ed.pem")).unwrap();
    let oct = EncodingKey::from_secret(b"a shared secret that is in the key set");
    let all = [
        (Algorithm::RS256, "rsa", rsa()),
        (Algorithm::ES256, "ec", ec),
        (Algorithm::EdDSA, "ed", ed),
        (Algorithm::HS256, "oct", oct),
    ];
    for (algorithm, kid, key) in all {
        for named in [Some(kid), None] {
            let verified = keys().verify(&signed(algorithm, named, &key, &claims()), NOW).unwrap();
            assert_eq!((verified.user_id, verified.tenant_id, verified.role), (USER, TENANT, Role::Staff));
            assert_eq!(verified.kid.as_deref(), Some(kid));
        }
        let other = if kid == "rsa" { "ec" } else { "rsa" };
        assert_eq!(refusal(&signed(algorithm, Some(other), &key, &claims())), TokenError::NoKey);
    }
}

#[test]
fn a_minted_token_is_verified_by_the_shared_secret_alone() {
    let token = mint(SECRET, Grant { user_id: USER, tenant_id: TENANT, role: Role::Owner }, NOW, 3600);
    let verified = keys().verify(&token, NOW).unwrap();
    assert_eq!((verified.role, verified.expires_at, verified.kid), (Role::Owner, NOW.plus_minutes(60), None));

    let others = TokenKeys::new(Some("the secret of somebody else altogether"), Some(JWKS)).unwrap();
    assert_eq!(others.verify(&token, NOW), Err(TokenError::WrongSignature));
    let without = TokenKeys::new(None, Some(&JWKS.replace("oct", "none"))).unwrap();
    assert_eq!(without.verify(&token, NOW), Err(TokenError::NoKey));
}

#[test]
fn the_shared_secret_serves_tokens_with_a_name_that_no_key_has() {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    assert!(keys().verify(&signed(Algorithm::HS256, Some("legacy"), &key, &claims()), NOW).is_ok());
    // But not one that names another key.
    assert_eq!(refusal(&signed(Algorithm::HS256, Some("oct"), &key, &claims())), TokenError::WrongSignature);
}

#[test]
fn keys_rotate_one_after_the_other_without_refusing_anybody() {
    let old = EncodingKey::from_secret(b"the old secret, which is long enough");
    let new = EncodingKey::from_secret(b"the new secret, which is long enough");
    let token = |key: &EncodingKey, kid| signed(Algorithm::HS256, Some(kid), key, &claims());
    let jwk = |kid: &str, k: &str| json!({ "kty": "oct", "kid": kid, "k": k });
    let old_jwk = jwk("old", "dGhlIG9sZCBzZWNyZXQsIHdoaWNoIGlzIGxvbmcgZW5vdWdo");
    let new_jwk = jwk("new", "dGhlIG5ldyBzZWNyZXQsIHdoaWNoIGlzIGxvbmcgZW5vdWdo");
    let set = |keys: &[&Value]| TokenKeys::new(None, Some(&json!({ "keys": keys }).to_string())).unwrap();

    let both = set(&[&old_jwk, &new_jwk]);
    assert_eq!(both.verify(&token(&old, "old"), NOW).unwrap().kid.as_deref(), Some("old"));
    assert_eq!(both.verify(&token(&new, "new"), NOW).unwrap().kid.as_deref(), Some("new"));
    assert_eq!(both.verify(&token(&old, "new"), NOW), Err(TokenError::WrongSignature));
    assert_eq!(set(&[&new_jwk]).verify(&token(&old, "old"), NOW), Err(TokenError::NoKey));
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let jwks: Value = serde_json::from_str(JWKS).unwrap();
    let modulus = jwks["keys"][0]["n"].as_str().unwrap();
    for public in [include_str!("testdata/rsa_public.pem"), modulus] {
        let key = EncodingKey::from_secret(public.as_bytes());
        assert_eq!(refusal(&signed(Algorithm::HS256, Some("rsa"), &key, &claims())), TokenError::NoKey);
        assert_eq!(refusal(&signed(Algorithm::HS256, None, &key, &claims())), TokenError::WrongSignature);
    }
    // Nor does a key serve another algorithm of its own family.
    assert_eq!(refusal(&signed(Algorithm::RS512, Some("rsa"), &rsa(), &claims())), TokenError::NoKey);
    assert_eq!(refusal(&signed(Algorithm::PS256, Some("rsa"), &rsa(), &claims())), TokenError::NoKey);
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    assert_eq!(refusal(&signed(Algorithm::HS512, None, &secret, &claims())), TokenError::NoKey);
}

#[test]
fn what_is_not_signed_is_refused() {
    let token = shared(&claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let payload = signed.split_once('.').unwrap().1;
    // {"typ":"JWT","alg":"none"}, and {"alg":"HS256","crit":["exp"]}
    let none = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0";
    let critical = "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiZXhwIl19";
    assert_eq!(refusal(&format!("{none}.{payload}.")), TokenError::Malformed);
    assert_eq!(refusal(&format!("{none}.{payload}.{signature}")), TokenError::Malformed);
    assert_eq!(refusal(&format!("{critical}.{payload}.{signature}")), TokenError::UnknownExtension);
    assert_eq!(refusal(&format!("{signed}.")), TokenError::WrongSignature);
    let other = shared(&with(json!({ "role": "owner" })));
    assert_eq!(refusal(&format!("{}.{signature}", other.rsplit_once('.').unwrap().0)), TokenError::WrongSignature);
    for text in ["", ".", "..", "a.b.c", "a.b", signed] {
        assert_eq!(refusal(text), TokenError::Malformed, "{text}");
    }
}

#[test]
fn times_are_those_of_the_clock_given_with_some_leeway() {
    let token = shared(&with(json!({ "nbf": NOW.as_millis() / 1000 })));
    let at = |seconds: i64| keys().verify(&token, NOW.plus_millis(seconds * 1000)).map(|_| ());
    assert_eq!(at(-31), Err(TokenError::NotYetValid));
    assert_eq!(at(-30), Ok(()));
    assert_eq!(at(89), Ok(()));
    assert_eq!(at(90), Err(TokenError::Expired));
    assert!(keys().verify(&shared(&with(json!({ "exp": 1_900_000_000.5 }))), NOW).is_ok());
    assert_eq!(refusal(&shared(&with(json!({ "exp": -1e300 })))), TokenError::Expired);
}

#[test]
fn a_token_that_is_remembered_expires_all_the_same_and_vouches_for_no_other() {
    let clock = Arc::new(ManualClock::at(NOW));
    let authenticator = TokenAuthenticator::new(keys(), clock.clone());
    let token = shared(&claims());
    let first = authenticator.authenticate(&token).unwrap();
    clock.set(NOW.plus_millis(89_000));
    assert_eq!(authenticator.authenticate(&token), Ok(first), "remembered");
    let other = shared(&with(json!({ "role": "owner" })));
    let (message, signature) = (other.rsplit_once('.').unwrap().0, token.rsplit_once('.').unwrap().1);
    assert_eq!(authenticator.authenticate(&format!("{message}.{signature}")), Err(InvalidToken), "of another token");
    clock.set(NOW.plus_millis(90_000));
    assert_eq!(authenticator.authenticate(&token), Err(InvalidToken), "expired");
}

#[test]
fn claims_that_decide_something_are_required() {
    for name in ["sub", "tenant_id", "exp"] {
        let mut incomplete = claims();
        incomplete.as_object_mut().unwrap().remove(name);
        assert!(matches!(refusal(&shared(&incomplete)), TokenError::BadClaims(_)), "{name} missing");
        for wrong in [json!(null), json!("soon"), json!({})] {
            assert!(
                matches!(refusal(&shared(&with(json!({ name: wrong })))), TokenError::BadClaims(_)),
                "{name} wrong"
            );
        }
    }
}

#[test]
fn the_strongest_known_role_counts() {
    let role = |changes| keys().verify(&shared(&with(changes)), NOW).map(|claims| claims.role);
    assert_eq!(role(json!({ "role": null, "roles": ["customer", "manager", "staff"] })), Ok(Role::Manager));
    assert_eq!(role(json!({ "role": "authenticated", "roles": ["customer"] })), Ok(Role::Customer));
    assert_eq!(role(json!({ "role": "owner", "roles": ["customer"] })), Ok(Role::Owner));
    assert_eq!(role(json!({ "role": "authenticated" })), Err(TokenError::NoRole));
    assert_eq!(role(json!({ "role": "Owner", "roles": [] })), Err(TokenError::NoRole));
}

#[test]
fn useless_keys_are_reported_at_the_start() {
    let set = |text: &str| TokenKeys::new(None, Some(text)).err();
    assert_eq!(TokenKeys::new(None, None).err(), Some(KeySetError::NoKeys));
    assert_eq!(TokenKeys::new(Some("short"), None).err(), Some(KeySetError::ShortSecret));
    assert!(matches!(set("no JSON"), Some(KeySetError::Malformed(_))));
    assert_eq!(set(r#"{"keys":[]}"#), Some(KeySetError::NoUsableKey));
    assert_eq!(set(r#"{"keys":[{"kty":"oct","kid":"o","k":"c2hvcnQ"}]}"#), Some(KeySetError::ShortSecret));
    let damaged = r#"{"keys":[{"kty":"EC","kid":"e","crv":"P-256","x":"AAAA","y":"AAAA"}]}"#;
    assert_eq!(set(damaged), Some(KeySetError::DamagedKey("e".into())));
}
