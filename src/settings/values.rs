//! Parsing is validation: each function turns a value as written into the one that the server works with, or says what is
//! expected. None repeats the value, which may be a secret.

use std::net::SocketAddr;

use actix_web::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bb8_redis::redis::IntoConnectionInfo;
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use serde::de::{Deserialize, Deserializer, Error};
use tracing_subscriber::EnvFilter;

use super::{LogFormat, NamedKey, Pooler, RetiredSealKey, Secret, SmtpEncryption};

pub fn between<'de, const MIN: i64, const MAX: i64, T: TryFrom<i64>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let inside = Some(number).filter(|number| (MIN..=MAX).contains(number));
    let number = inside.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| D::Error::custom(format!("expected a whole number from {MIN} to {MAX}")))
}

pub fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    required(deserializer, |text| text.parse().ok(), "an IP address and a port, such as 127.0.0.1:8080")
}

/// Stored with all that it names, so it stays short and plain.
pub fn identifier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let parse = |text: &str| ((1..=64).contains(&text.len()) && is_plain(text)).then(|| text.to_owned());
    required(deserializer, parse, "1 to 64 letters, digits, dots, dashes and underscores")
}

pub fn log_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogFormat, D::Error> {
    let parse = |text: &str| match text {
        "pretty" => Some(LogFormat::Pretty),
        "json" => Some(LogFormat::Json),
        _ => None,
    };
    required(deserializer, parse, "pretty or json")
}

pub fn pooler<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pooler, D::Error> {
    let parse = |text: &str| match text {
        "none" => Some(Pooler::None),
        "transaction" => Some(Pooler::Transaction),
        _ => None,
    };
    required(deserializer, parse, "none or transaction")
}

pub fn filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let parse = |text: &str| EnvFilter::try_new(text).is_ok().then(|| text.to_owned());
    required(deserializer, parse, "a level such as info, or levels by module such as info,codeccloud=debug")
}

pub fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    optional(deserializer, |text| Some(Secret::new(text.to_owned())), "a text")
}

pub fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    optional(deserializer, |text| Some(text.to_owned()), "a text")
}

pub fn encryption<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SmtpEncryption, D::Error> {
    let parse = |text: &str| match text {
        "none" => Some(SmtpEncryption::None),
        "starttls" => Some(SmtpEncryption::StartTls),
        "tls" => Some(SmtpEncryption::Tls),
        _ => None,
    };
    required(deserializer, parse, "none, starttls or tls")
}

pub fn mail_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let parse = |text: &str| text.parse::<lettre::Address>().is_ok().then(|| text.to_owned());
    optional(deserializer, parse, "an address such as no-reply@example.ch")
}

pub fn database_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    let is_url = |text: &str| text.starts_with("postgres://") || text.starts_with("postgresql://");
    let is_valid = |text: &str| is_url(text) && text.parse::<tokio_postgres::Config>().is_ok();
    let parse = |text: &str| is_valid(text).then(|| Secret::new(text.to_owned()));
    optional(deserializer, parse, "a URL such as postgres://user:password@host:5432/database")
}

pub fn redis_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    let is_plain = |text: &str| ["redis://", "redis+unix://", "unix://"].iter().any(|scheme| text.starts_with(scheme));
    let is_valid = |text: &str| is_plain(text) && text.into_connection_info().is_ok();
    let parse = |text: &str| is_valid(text).then(|| Secret::new(text.to_owned()));
    let expected = "a URL such as redis://user:password@host:6379/0, or unix:///run/redis.sock; no TLS is built in, so not rediss://";
    optional(deserializer, parse, expected)
}

pub fn otlp_endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let is_http = |uri: &Uri| uri.scheme_str() == Some("http") && uri.query().is_none();
    let parse = |text: &str| text.parse().ok().filter(is_http).map(|_| text.trim_end_matches('/').to_owned());
    optional(deserializer, parse, "an http:// URL such as http://localhost:4318; no TLS is built in, so not https://")
}

pub fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let parse = |text: &str| (text == "*" || is_origin(text)).then(|| text.to_owned());
    list(deserializer, parse, "* or origins without a path, such as https://book.example.ch")
}

pub fn jwks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<JwkSet>, D::Error> {
    let parse = |text: &str| serde_json::from_str(text).ok().filter(has_only_public_keys);
    optional(deserializer, parse, r#"the JSON of a set of public keys, {"keys":[…]}"#)
}

pub fn symmetric_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<[u8; 32]>>, D::Error> {
    optional(deserializer, key_of_base64, "32 bytes in base64")
}

pub fn named_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NamedKey>, D::Error> {
    let parse = |text: &str| {
        let (id, key) = text.split_once(':')?;
        Some(NamedKey { id: id.to_owned(), key: key_of_base64(key)? })
    };
    list(deserializer, parse, "id:key, each key 32 bytes in base64")
}

pub fn retired_seal_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RetiredSealKey>, D::Error> {
    let parse = |text: &str| {
        let [id, key, last_seal] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
        let last_seal = last_seal.parse().ok().filter(|number| *number >= 0)?;
        Some(RetiredSealKey { id: id.to_owned(), key: key_of_base64(key)?, last_seal })
    };
    list(deserializer, parse, "id:key:number, each key 32 bytes in base64, with the number of the last seal under it")
}

fn key_of_base64(text: &str) -> Option<Secret<[u8; 32]>> {
    Some(Secret::new(BASE64.decode(text).ok()?.try_into().ok()?))
}

/// A symmetric key would let everybody who reads the set sign tokens.
fn has_only_public_keys(set: &JwkSet) -> bool {
    let is_public = |parameters: &AlgorithmParameters| !matches!(parameters, AlgorithmParameters::OctetKey(_));
    !set.keys.is_empty() && set.keys.iter().all(|key| is_public(&key.algorithm))
}

fn is_origin(text: &str) -> bool {
    let has_host_only = |uri: &Uri| uri.authority().is_some() && uri.path() == "/" && uri.query().is_none();
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    is_web && !text.ends_with('/') && text.parse().as_ref().is_ok_and(has_host_only)
}

fn required<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<T, D::Error> {
    parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom(format!("expected {expected}")))
}

/// Empty is not set.
fn optional<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<Option<T>, D::Error> {
    let or_unset = |text: &str| if text.is_empty() { Some(None) } else { parse(text).map(Some) };
    required(deserializer, or_unset, expected)
}

fn list<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let items: Option<Vec<T>> = texts.iter().map(|text| parse(text)).collect();
    items.ok_or_else(|| D::Error::custom(format!("expected a list of {expected}")))
}
