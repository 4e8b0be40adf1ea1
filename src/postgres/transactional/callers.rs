//! Connections on which callers act as themselves, and who of many gets one.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bb8::PooledConnection;
use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::StoreError;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::postgres::pooled::{ConnectionPool, Connector, PooledClient};
use crate::postgres::{Database, DatabaseRole, away};

/// Connections by what their role lets them see and change.
#[derive(Clone)]
pub struct CallerPools {
    pub members: Arc<CallerPool>,
    pub services: Arc<CallerPool>,
    pub customers: Arc<CallerPool>,
}

impl CallerPools {
    pub fn of(&self, role: Role) -> &CallerPool {
        match role {
            Role::Owner | Role::Manager | Role::Staff => &self.members,
            Role::Service | Role::Operator => &self.services,
            Role::Customer => &self.customers,
        }
    }
}

/// The connections of one role. Whatever waits in the database, a part of them is left for others: a tenant whose row
/// somebody holds keeps no more than half, commands leave some to those who read, and the other way round.
pub struct CallerPool {
    connections: ConnectionPool,
    wait: Duration,
    commands: Semaphore,
    reads: Semaphore,
    of_tenant: usize,
    /// As many as there are tenants that have sent a command.
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl CallerPool {
    /// `wait` is how long somebody waits for a turn, and then for a connection.
    pub fn new(database: &Database, role: DatabaseRole, size: u32, wait: Duration) -> Arc<CallerPool> {
        let all = usize::try_from(size).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let most = (all - all / 4).max(1);
        Arc::new(CallerPool {
            connections: database.pool(role, size, wait),
            wait,
            commands: Semaphore::new(most),
            reads: Semaphore::new(most),
            of_tenant: (all / 2).max(1),
            tenants: Mutex::default(),
        })
    }

    /// Of one tenant, whoever comes first is the first to get a turn.
    pub(in crate::postgres) async fn for_command(&self, tenant_id: TenantId) -> Result<Turn<'_>, StoreError> {
        let tenant = self.tenant(tenant_id);
        let turn = async {
            let of_tenant = tenant.acquire_owned().await.map_err(away)?;
            Ok((of_tenant, self.commands.acquire().await.map_err(away)?))
        };
        let (of_tenant, of_all) = tokio::time::timeout(self.wait, turn).await.map_err(away)??;
        let client = self.connections.get().await.map_err(away)?;
        Ok(Turn { client, _of_all: of_all, _of_tenant: Some(of_tenant) })
    }

    pub(in crate::postgres) async fn for_reading(&self) -> Result<Turn<'_>, StoreError> {
        let turn = tokio::time::timeout(self.wait, self.reads.acquire()).await;
        let of_all = turn.map_err(away)?.map_err(away)?;
        let client = self.connections.get().await.map_err(away)?;
        Ok(Turn { client, _of_all: of_all, _of_tenant: None })
    }

    fn tenant(&self, tenant_id: TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tenants.entry(tenant_id).or_insert_with(|| Arc::new(Semaphore::new(self.of_tenant))))
    }
}

/// A connection for as long as it is held.
pub(in crate::postgres) struct Turn<'a> {
    client: PooledConnection<'a, Connector>,
    _of_all: SemaphorePermit<'a>,
    _of_tenant: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Deref for Turn<'_> {
    type Target = PooledClient;

    fn deref(&self) -> &PooledClient {
        &self.client
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut PooledClient {
        &mut self.client
    }
}
