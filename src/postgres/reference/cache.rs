//! What is in memory, and how it follows the database: every tenant has a version that rises with each change, and only
//! tenants whose version is another than the one loaded are read again.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::StoreError;
use codeccloud_actors::reference::TenantReference;
use tokio::sync::{Mutex, Notify};
use uuid::Uuid;

use super::load;
use crate::postgres::listen::listen;
use crate::postgres::{ConnectionPool, Database, away, described};

const CHANNEL: &str = "codeccloud_reference";

/// How long a change goes unseen whose notification was lost.
const POLL_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Cache {
    tenants: ArcSwap<HashMap<TenantId, Arc<TenantReference>>>,
    /// Those that `tenants` was loaded at. Held while loading, so that an older load never replaces a newer one.
    versions: Mutex<HashMap<Uuid, i64>>,
    /// When all that was committed by then was known.
    fresh_at: ArcSwap<Instant>,
    readers: ConnectionPool,
}

impl Cache {
    /// Holds every tenant when it returns.
    pub async fn fill(readers: ConnectionPool) -> Result<Cache, StoreError> {
        let (tenants, versions) = {
            let mut client = readers.get().await.map_err(away)?;
            let snapshot = client.snapshot().await.map_err(store_error)?;
            let versions = load::versions(&snapshot, None).await.map_err(store_error)?;
            (load::tenants(&snapshot, None).await.map_err(store_error)?, versions)
        };
        let (tenants, fresh_at) = (ArcSwap::from_pointee(tenants), ArcSwap::from_pointee(Instant::now()));
        Ok(Cache { tenants, versions: Mutex::new(versions), fresh_at, readers })
    }

    /// A change that is older is known; revocations and memberships are among these.
    pub fn age(&self) -> Duration {
        self.fresh_at.load().elapsed()
    }

    pub fn tenant(&self, tenant_id: TenantId) -> Option<Arc<TenantReference>> {
        self.tenants.load().get(&tenant_id).cloned()
    }

    /// When it returns, memory holds all that was committed before the call; of `only` these tenants, if given.
    pub async fn refresh(&self, only: Option<&[Uuid]>) -> Result<(), StoreError> {
        let asked_at = Instant::now();
        let mut loaded = self.versions.lock().await;
        self.load(only, &mut loaded).await?;
        if only.is_none() {
            self.fresh_at.store(Arc::new(asked_at));
        }
        Ok(())
    }

    async fn load(&self, only: Option<&[Uuid]>, loaded: &mut HashMap<Uuid, i64>) -> Result<(), StoreError> {
        let mut client = self.readers.get().await.map_err(away)?;
        let snapshot = client.snapshot().await.map_err(store_error)?;
        let current = load::versions(&snapshot, only).await.map_err(store_error)?;
        let stale: Vec<Uuid> =
            current.iter().filter(|(tenant, version)| loaded.get(tenant) != Some(version)).map(|(&id, _)| id).collect();
        if stale.is_empty() {
            return Ok(());
        }
        let fresh = load::tenants(&snapshot, Some(&stale)).await.map_err(store_error)?;
        let mut tenants = HashMap::clone(&self.tenants.load());
        for tenant in stale {
            tenants.remove(&TenantId(tenant));
        }
        tenants.extend(fresh);
        self.tenants.store(Arc::new(tenants));
        loaded.extend(current);
        Ok(())
    }
}

/// Follows the changes of other nodes until nobody holds the cache any more.
pub(super) async fn follow(cache: Weak<Cache>, database: Database) {
    let wake = Arc::new(Notify::new());
    let listening = database.io().spawn(listen(database.clone(), CHANNEL, Arc::clone(&wake)));
    let mut reachable = true;
    loop {
        let _ = tokio::time::timeout(POLL_PAUSE, wake.notified()).await;
        let Some(cache) = cache.upgrade() else { break };
        let refreshed = cache.refresh(None).await;
        if let Err(error) = &refreshed
            && reachable
        {
            tracing::warn!(%error, "changes of reference data can't be read; memory keeps what it has");
        }
        reachable = refreshed.is_ok();
    }
    listening.abort();
}

fn store_error(error: tokio_postgres::Error) -> StoreError {
    away(described(&error))
}
