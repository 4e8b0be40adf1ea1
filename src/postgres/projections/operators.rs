use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::ids::NodeId;
use codeccloud_actors::ports::{ProjectionOperators, ProjectionStatus, StoreError};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio_postgres::types::Type;

use super::Parameters;
use crate::postgres::listen::listen;
use crate::postgres::{ConnectionPool, Database, away};

pub(super) const CHANNEL: &str = "codeccloud_projections";

/// How long an inquiry goes unseen whose notification was lost.
const POLL_PAUSE: Duration = Duration::from_secs(1);

/// A server's ear for operators.
pub struct PostgresProjectionOperators {
    pool: ConnectionPool,
    node_id: NodeId,
    wake: Arc<Notify>,
}

impl PostgresProjectionOperators {
    /// `pool` is of projectors.
    pub fn start(database: &Database, pool: ConnectionPool, node_id: NodeId) -> PostgresProjectionOperators {
        let wake = Arc::new(Notify::new());
        database.io().spawn(listen(database.clone(), CHANNEL, Arc::clone(&wake)));
        PostgresProjectionOperators { pool, node_id, wake }
    }

    async fn newest_inquiry(&self) -> Result<u64, StoreError> {
        let client = self.pool.get().await.map_err(away)?;
        let sql = "SELECT last_value - (NOT is_called)::int FROM projection_inquiries";
        let rows = client.query_typed(sql, &[]).await.map_err(away)?;
        let newest = rows.first().map_or(0, |row| row.get::<_, i64>(0));
        u64::try_from(newest).map_err(away)
    }

    async fn write_report(&self, inquiry: u64, projections: &[ProjectionStatus]) -> Result<(), StoreError> {
        let client = self.pool.get().await.map_err(away)?;
        let inquiry = i64::try_from(inquiry).map_err(away)?;
        let projections = serde_json::to_value(projections).map_err(away)?;
        // Servers that went away leave their last report behind.
        client
            .execute_typed("DELETE FROM projection_reports WHERE reported_at < now() - interval '1 day'", &[])
            .await
            .map_err(away)?;
        let sql = "INSERT INTO projection_reports (node_id, inquiry, projections) VALUES ($1, $2, $3) \
                   ON CONFLICT (node_id) DO UPDATE SET inquiry = excluded.inquiry, \
                   projections = excluded.projections, reported_at = now()";
        let params: Parameters<'_> =
            &[(&self.node_id.0, Type::UUID), (&inquiry, Type::INT8), (&projections, Type::JSONB)];
        client.execute_typed(sql, params).await.map(|_| ()).map_err(away)
    }
}

impl ProjectionOperators for PostgresProjectionOperators {
    fn wait(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // A time-out is the poll.
            let _ = tokio::time::timeout(POLL_PAUSE, self.wake.notified()).await;
        })
    }

    fn inquiry(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.newest_inquiry())
    }

    fn report<'a>(
        &'a self,
        inquiry: u64,
        projections: &'a [ProjectionStatus],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_report(inquiry, projections))
    }
}
