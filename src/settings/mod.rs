//! What an operator can set. `config/default.toml` explains every key and is the only place of defaults.
//!
//! To add a setting: the key with its explanation in `config/default.toml`, and a field of the same name in
//! [`sections`]. If deployments already know it by another variable, name that in [`environment`].

mod checks;
mod environment;
mod overlay;
mod secret;
mod secrets;
mod sections;
mod sources;
#[cfg(test)]
mod tests;
mod values;

use std::path::PathBuf;

use serde::Deserialize;

use overlay::Overlay;

pub use secret::Secret;
pub use secrets::{GeneratedSecrets, SecretsError, load_or_create};
pub use sections::{
    Actors, Audit, Auth, Data, Database, Feed, Idempotency, Journal, Log, LogFormat, NamedKey, Outbox, Pooler,
    Projections, RateLimit, Redis, RetiredSealKey, Scale, Server, Smtp, SmtpEncryption, Telemetry, Vault, Webhooks,
};
pub use sources::{ConfigFile, Fault, Source, Sources};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub server: Server,
    pub data: Data,
    pub database: Database,
    pub scale: Scale,
    pub auth: Auth,
    pub vault: Vault,
    pub audit: Audit,
    pub actors: Actors,
    pub journal: Journal,
    pub feed: Feed,
    pub projections: Projections,
    pub outbox: Outbox,
    pub smtp: Smtp,
    pub webhooks: Webhooks,
    pub idempotency: Idempotency,
    pub rate_limit: RateLimit,
    pub redis: Redis,
    pub log: Log,
    pub telemetry: Telemetry,
}

/// All faults come at once, so that a bad configuration is put right in one go.
pub fn load(sources: Sources) -> Result<Settings, Vec<Fault>> {
    let data_dir = default_data_dir(&sources);
    overlaid(sources).into_settings(data_dir)
}

/// As [`load`], with what else a server asks for, at once with all other faults.
pub fn load_for_start(sources: Sources) -> Result<Settings, Vec<Fault>> {
    let data_dir = default_data_dir(&sources);
    overlaid(sources).into_settings_for_start(data_dir)
}

fn overlaid(sources: Sources) -> Overlay {
    let mut overlay = Overlay::of_defaults(sources.faults);
    if let Some(file) = &sources.file {
        overlay.apply_file(file);
    }
    overlay.apply_environment(&sources.environment);
    overlay.apply_flags(&sources.flags);
    overlay
}

fn default_data_dir(sources: &Sources) -> Option<PathBuf> {
    if sources.is_root {
        return Some(PathBuf::from("/var/lib/codeccloud"));
    }
    let directory = |name: &str| sources.environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let shared = directory("XDG_DATA_HOME").or_else(|| Some(directory("HOME")?.join(".local/share")))?;
    Some(shared.join("codeccloud"))
}
