use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::runtime::Projections;
use futures_util::future::BoxFuture;

use crate::ports::Readiness;
use crate::postgres::{ConnectionPool, PostgresReference};
use crate::redis::Redis;

/// It is looked for changes each second; a revoked member is let in for as long as they are not known.
const REFERENCE_AGE_MAX: Duration = Duration::from_secs(5);

/// Ready is who can reach the database and has caught up with the events.
pub(super) struct Ready {
    pub reader: ConnectionPool,
    pub reference: Arc<PostgresReference>,
    pub projections: Projections,
    pub redis: Option<Arc<Redis>>,
}

impl Readiness for Ready {
    fn missing(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move {
            let mut missing = Vec::new();
            let reachable = match self.reader.get().await {
                Ok(client) => client.batch_execute("").await.is_ok(),
                Err(_) => false,
            };
            if !reachable {
                missing.push("database".to_owned());
            }
            // One that is frozen serves what was true once, and only a new start helps.
            let behind = self.projections.all().into_iter().filter(|p| !p.status().live || p.is_frozen());
            missing.extend(behind.map(|projection| format!("projection {}", projection.name())));
            missing
        })
    }

    fn degraded(&self) -> Vec<String> {
        let statuses = self.projections.all().into_iter().map(|projection| projection.status());
        let stopped = statuses.filter(|status| !status.stopped.is_empty());
        let stopped =
            stopped.map(|status| format!("projection {}: {} tenants stopped", status.name, status.stopped.len()));
        let away = self.redis.as_ref().filter(|redis| !redis.is_in_use());
        let age = Some(self.reference.age()).filter(|age| *age > REFERENCE_AGE_MAX);
        let old = age.map(|age| format!("reference data, members among it: as of {} seconds ago", age.as_secs()));
        stopped.chain(old).chain(away.map(|_| "redis".to_owned())).collect()
    }
}
