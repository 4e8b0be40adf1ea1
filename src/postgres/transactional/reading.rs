use bb8::PooledConnection;
use futures_util::future::join4;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::CallerPools;
use super::queries::unavailable;
use super::transaction::claims;
use crate::ports::{QueryError, Scope};
use crate::postgres::described;
use crate::postgres::pooled::Connector;

const ON_BEHALF: &str =
    "SELECT set_config('request.jwt.claims', $1, true), set_config('codeccloud.tenant_ids', $2, true)";

/// Reads as the caller may: the policies of the caller's role decide what there is.
pub(super) struct Reading<'a> {
    client: PooledConnection<'a, Connector>,
    scope: Scope,
}

impl<'a> Reading<'a> {
    pub async fn new(callers: &'a CallerPools, scope: Scope) -> Result<Reading<'a>, QueryError> {
        let client = callers.of(scope.caller.role).get().await.map_err(|error| unavailable(&error))?;
        Ok(Reading { client, scope })
    }

    /// One statement, in a transaction that is sent as a whole.
    pub async fn query(&self, sql: &str, arguments: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, QueryError> {
        let claims = claims(self.scope.tenant_id, self.scope.caller);
        let declared = format!("{{{}}}", self.scope.tenant_id);
        let (begun, declared, rows, ended) = join4(
            self.client.batch_execute("BEGIN READ ONLY"),
            self.client.query_typed(ON_BEHALF, &[(&claims, Type::TEXT), (&declared, Type::TEXT)]),
            self.client.query_typed(sql, arguments),
            self.client.batch_execute("COMMIT"),
        )
        .await;
        let read = begun.and(declared).and(rows).and_then(|rows| ended.map(|()| rows));
        read.map_err(|error| QueryError::Unavailable(described(&error)))
    }
}
