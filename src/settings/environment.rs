//! The names of settings in the environment.

/// Each key can also be set by `CODECCLOUD_<SECTION>_<KEY>`.
pub const PREFIX: &str = "CODECCLOUD_";

/// Names the configuration file.
pub const CONFIG: &str = "CODECCLOUD_CONFIG";

/// Variables with our prefix that are no settings: the file to read, and where PostgreSQL's binaries are.
pub const RESERVED: [&str; 2] = [CONFIG, "CODECCLOUD_POSTGRES_BIN"];

/// Names that deployments already use. `DATA_RETENTION_YEARS` is one of them, too, and is no setting: the books are never
/// deleted, so any number of years is kept.
pub const KNOWN: [(&str, &str); 14] = [
    ("CORS_ALLOWED_ORIGINS", "server.cors_allowed_origins"),
    ("DATABASE_URL", "database.url"),
    ("DATABASE_DIRECT_URL", "database.direct_url"),
    ("DATABASE_CA_FILE", "database.ca_file"),
    ("FEATURE_SCALE", "scale.feature"),
    ("REDIS_URL", "redis.url"),
    ("SUPABASE_JWT_SECRET", "auth.jwt_secret"),
    ("SUPABASE_JWT_PUBLIC_JWKS", "auth.jwks"),
    ("VAULT_MASTER_KEY", "vault.master_key"),
    ("VAULT_PREVIOUS_MASTER_KEYS", "vault.previous_master_keys"),
    ("AUDIT_SEAL_KEY", "audit.seal_key"),
    ("AUDIT_SEAL_PREVIOUS_KEYS", "audit.previous_seal_keys"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
];

pub fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}
