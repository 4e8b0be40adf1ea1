//! Connections, shared stores and keys, as the settings have them.

use std::time::Duration;

use super::StartError;
use super::parts::limits;
use crate::auth::TokenKeys;
use crate::postgres::{CallerPool, CallerPools, ConnectionPool, Database, DatabaseRole};
use crate::redis::{self, CopyKey, RedisSettings, Stores};
use crate::settings::Settings;
use crate::vault::{MasterKey, MasterKeys};

/// How long a request waits for a database connection before it is told to come back.
const POOL_WAIT: Duration = Duration::from_millis(500);

/// The connections that adapters share, each pool with one role.
pub(super) struct Pools {
    pub reader: ConnectionPool,
    /// Apart from the other readers', so that no crowd of slow searches stops the read models of all tenants.
    pub feed: ConnectionPool,
    /// For what is kept in memory of tenants, which carries memberships and revocations: a crowd of searches must not keep
    /// the old ones good. One to follow changes, one for who has just made one.
    pub reference: ConnectionPool,
    pub projector: ConnectionPool,
    pub vault: ConnectionPool,
    pub callers: CallerPools,
    pub outbox: ConnectionPool,
}

pub(super) fn pools(database: &Database, settings: &Settings) -> Pools {
    let pool = |role, size| database.pool(role, size, POOL_WAIT);
    // Commands of MVP mode take a while where many want the same: as with actors, the request's own limit ends the wait.
    let callers = |role| CallerPool::new(database, role, settings.database.pool_size, limits(settings).request);
    Pools {
        reader: pool(DatabaseRole::Reader, settings.database.pool_size),
        // One for the bus, one for each projection that catches up.
        feed: pool(DatabaseRole::Reader, 5),
        reference: pool(DatabaseRole::Reader, 2),
        projector: pool(DatabaseRole::Projector, 2),
        vault: pool(DatabaseRole::Vault, 4),
        callers: CallerPools {
            members: callers(DatabaseRole::Authenticated),
            services: callers(DatabaseRole::Service),
            customers: callers(DatabaseRole::Customer),
        },
        outbox: pool(DatabaseRole::Outbox, 4),
    }
}

pub(super) async fn stores(settings: &Settings) -> Result<Stores, StartError> {
    let limits = redis::Limits::per_minute(settings.rate_limit.requests_per_minute);
    let Some(url) = &settings.redis.url else { return Ok(Stores::local(limits)) };
    let shared = RedisSettings {
        url: url.expose().clone(),
        key_prefix: settings.redis.key_prefix.clone(),
        pool_size: settings.redis.pool_size,
        timeout: Duration::from_millis(settings.redis.timeout_ms),
        connect_timeout: Duration::from_millis(settings.redis.connect_timeout_ms),
        probe_pause: Duration::from_millis(settings.redis.probe_pause_ms),
    };
    let stores = Stores::shared(shared, limits, CopyKey::new(master_keys(settings)?.copies())).await;
    stores.map_err(|error| StartError::Settings(format!("redis.url: {error}")))
}

pub(super) fn token_keys(settings: &Settings) -> Result<TokenKeys, StartError> {
    let secret = settings.auth.jwt_secret.as_ref().map(|secret| secret.expose().as_str());
    let jwks = settings.auth.jwks.as_ref().map(serde_json::to_string).transpose();
    let jwks = jwks.map_err(|error| StartError::Settings(error.to_string()))?;
    TokenKeys::new(secret, jwks.as_deref()).map_err(|error| StartError::Settings(error.to_string()))
}

pub fn master_keys(settings: &Settings) -> Result<MasterKeys, StartError> {
    let missing = || StartError::Settings("vault.master_key is missing".to_owned());
    let current = settings.vault.master_key.as_ref().ok_or_else(missing)?;
    let current = MasterKey::new(settings.vault.master_key_id.clone(), *current.expose());
    let previous =
        settings.vault.previous_master_keys.iter().map(|key| MasterKey::new(key.id.clone(), *key.key.expose()));
    MasterKeys::new(current, previous.collect()).map_err(|error| StartError::Settings(error.to_string()))
}
