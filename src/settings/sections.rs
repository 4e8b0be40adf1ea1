//! One struct per section. What a key means, and in which unit, is said in `config/default.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use codeccloud_actors::stage::Stage;
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;

use super::Secret;
use super::values::{
    between, database_url, encryption, filter, identifier, jwks, listen, log_format, mail_address, named_keys,
    optional_secret, optional_text, origins, otlp_endpoint, pooler, redis_url, retired_seal_keys, symmetric_key,
};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    #[serde(deserialize_with = "listen")]
    pub listen: SocketAddr,
    #[serde(deserialize_with = "between::<0, 1024, _, _>")]
    pub workers: usize,
    #[serde(deserialize_with = "between::<1, 600_000, _, _>")]
    pub request_timeout_ms: u64,
    #[serde(deserialize_with = "between::<0, 600_000, _, _>")]
    pub shutdown_timeout_ms: u64,
    #[serde(deserialize_with = "between::<1024, 16_777_216, _, _>")]
    pub body_limit_bytes: usize,
    #[serde(deserialize_with = "origins")]
    pub cors_allowed_origins: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `None` is the embedded database.
    #[serde(deserialize_with = "database_url")]
    pub url: Option<Secret<String>>,
    #[serde(deserialize_with = "pooler")]
    pub pooler: Pooler,
    #[serde(deserialize_with = "database_url")]
    pub direct_url: Option<Secret<String>>,
    pub ca_file: PathBuf,
    #[serde(deserialize_with = "between::<1, 1000, _, _>")]
    pub pool_size: u32,
    #[serde(deserialize_with = "between::<1, 600_000, _, _>")]
    pub connect_timeout_ms: u64,
    #[serde(deserialize_with = "between::<1, 86_400_000, _, _>")]
    pub statement_timeout_ms: u64,
}

/// What stands between the server and its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    None,
    /// Each transaction may have another session, such as PgBouncer with `pool_mode = transaction`.
    Transaction,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    pub feature: bool,
}

impl Scale {
    /// Of tenants that are made without saying.
    pub fn stage_at_creation(&self) -> Stage {
        if self.feature { Stage::Scale } else { Stage::Mvp }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    #[serde(deserialize_with = "optional_secret")]
    pub jwt_secret: Option<Secret<String>>,
    #[serde(deserialize_with = "jwks")]
    pub jwks: Option<JwkSet>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    #[serde(deserialize_with = "symmetric_key")]
    pub master_key: Option<Secret<[u8; 32]>>,
    #[serde(deserialize_with = "identifier")]
    pub master_key_id: String,
    #[serde(deserialize_with = "named_keys")]
    pub previous_master_keys: Vec<NamedKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    pub id: String,
    pub key: Secret<[u8; 32]>,
}

/// A key of the past that sealed the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredSealKey {
    pub id: String,
    pub key: Secret<[u8; 32]>,
    /// The number of the last seal that it made.
    pub last_seal: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    #[serde(deserialize_with = "symmetric_key")]
    pub seal_key: Option<Secret<[u8; 32]>>,
    #[serde(deserialize_with = "identifier")]
    pub seal_key_id: String,
    #[serde(deserialize_with = "retired_seal_keys")]
    pub previous_seal_keys: Vec<RetiredSealKey>,
    #[serde(deserialize_with = "between::<1, 86_400, _, _>")]
    pub seal_every_seconds: u64,
    pub newest_seal_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actors {
    #[serde(deserialize_with = "between::<0, 1024, _, _>")]
    pub arbiters: usize,
    #[serde(deserialize_with = "between::<1, 1_000_000, _, _>")]
    pub mailbox_capacity: usize,
    #[serde(deserialize_with = "between::<1, 604_800, _, _>")]
    pub passivate_after_seconds: u64,
    #[serde(deserialize_with = "between::<1, 100_000_000, _, _>")]
    pub active_max: usize,
    #[serde(deserialize_with = "between::<1, 1_000_000, _, _>")]
    pub snapshot_every: u64,
    #[serde(deserialize_with = "between::<0, 100, _, _>")]
    pub conflict_retries: u32,
    #[serde(deserialize_with = "between::<1, 3_600_000, _, _>")]
    pub restart_backoff_ms_min: u64,
    #[serde(deserialize_with = "between::<1, 3_600_000, _, _>")]
    pub restart_backoff_ms_max: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    #[serde(deserialize_with = "between::<1, 64, _, _>")]
    pub lanes: usize,
    #[serde(deserialize_with = "between::<1, 1_000_000, _, _>")]
    pub queue_max: usize,
    #[serde(deserialize_with = "between::<1, 10_000, _, _>")]
    pub batch_max: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    #[serde(deserialize_with = "between::<1, 2_000, _, _>")]
    pub poll_ms: u64,
    #[serde(deserialize_with = "between::<1, 100_000, _, _>")]
    pub page_events: usize,
    #[serde(deserialize_with = "between::<0, 1_000, _, _>")]
    pub coalesce_ms: u64,
    #[serde(deserialize_with = "between::<1, 86_400, _, _>")]
    pub horizon_warn_seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projections {
    #[serde(deserialize_with = "between::<1, 86_400, _, _>")]
    pub save_every_seconds: u64,
    #[serde(deserialize_with = "between::<1, 100_000_000, _, _>")]
    pub save_every_events: u64,
    #[serde(deserialize_with = "between::<0, 60_000, _, _>")]
    pub read_your_writes_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    #[serde(deserialize_with = "between::<10, 60_000, _, _>")]
    pub poll_ms: u64,
    #[serde(deserialize_with = "between::<1, 10_000, _, _>")]
    pub batch_max: usize,
    #[serde(deserialize_with = "between::<1, 1_000, _, _>")]
    pub senders: usize,
    #[serde(deserialize_with = "between::<5, 3_600, _, _>")]
    pub lease_seconds: u64,
    #[serde(deserialize_with = "between::<1, 100, _, _>")]
    pub attempts_max: u32,
    #[serde(deserialize_with = "between::<1, 86_400, _, _>")]
    pub retry_seconds_min: u64,
    #[serde(deserialize_with = "between::<1, 86_400, _, _>")]
    pub retry_seconds_max: u64,
    #[serde(deserialize_with = "between::<1, 3_650, _, _>")]
    pub keep_days: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// `None` sends no mail.
    #[serde(deserialize_with = "optional_text")]
    pub host: Option<String>,
    #[serde(deserialize_with = "between::<1, 65_535, _, _>")]
    pub port: u16,
    #[serde(deserialize_with = "encryption")]
    pub encryption: SmtpEncryption,
    pub ca_file: PathBuf,
    #[serde(deserialize_with = "optional_text")]
    pub username: Option<String>,
    #[serde(deserialize_with = "optional_secret")]
    pub password: Option<Secret<String>>,
    #[serde(deserialize_with = "mail_address")]
    pub from: Option<String>,
    #[serde(deserialize_with = "between::<1, 600, _, _>")]
    pub timeout_seconds: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpEncryption {
    /// For a server on this machine or network.
    None,
    /// Demanded before anything is said.
    StartTls,
    /// From the first byte on.
    Tls,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    pub allow_private_addresses: bool,
    #[serde(deserialize_with = "between::<1, 60, _, _>")]
    pub timeout_seconds: u64,
    #[serde(deserialize_with = "between::<0, 8_760, _, _>")]
    pub previous_secret_hours: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    #[serde(deserialize_with = "between::<24, 87_600, _, _>")]
    pub retention_hours: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    #[serde(deserialize_with = "between::<0, 1_000_000_000, _, _>")]
    pub requests_per_minute: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `None` keeps in this process what servers would share.
    #[serde(deserialize_with = "redis_url")]
    pub url: Option<Secret<String>>,
    #[serde(deserialize_with = "identifier")]
    pub key_prefix: String,
    #[serde(deserialize_with = "between::<1, 1000, _, _>")]
    pub pool_size: u32,
    #[serde(deserialize_with = "between::<1, 10_000, _, _>")]
    pub timeout_ms: u64,
    #[serde(deserialize_with = "between::<1, 60_000, _, _>")]
    pub connect_timeout_ms: u64,
    #[serde(deserialize_with = "between::<10, 60_000, _, _>")]
    pub probe_pause_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    #[serde(deserialize_with = "log_format")]
    pub format: LogFormat,
    #[serde(deserialize_with = "filter")]
    pub filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Pretty,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    #[serde(deserialize_with = "otlp_endpoint")]
    pub otlp_endpoint: Option<String>,
    #[serde(deserialize_with = "identifier")]
    pub service_name: String,
}
