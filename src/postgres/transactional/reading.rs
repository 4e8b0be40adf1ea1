use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::callers::{CallerPools, Turn};
use super::queries::unavailable;
use super::transaction::claims;
use crate::ports::{QueryError, Scope};
use crate::postgres::described;

const ON_BEHALF: &str =
    "SELECT set_config('request.jwt.claims', $1, true), set_config('codeccloud.tenant_ids', $2, true)";

/// Reads as the caller may: the policies of the caller's role decide what there is.
pub(super) struct Reading<'a> {
    client: Turn<'a>,
    scope: Scope,
}

impl<'a> Reading<'a> {
    pub async fn new(callers: &'a CallerPools, scope: Scope) -> Result<Reading<'a>, QueryError> {
        let client = callers.of(scope.caller.role).for_reading().await.map_err(|error| unavailable(&error))?;
        Ok(Reading { client, scope })
    }

    /// One statement, in a transaction that is sent as a whole.
    pub async fn query(&self, sql: &str, arguments: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, QueryError> {
        let claims = claims(self.scope.tenant_id, self.scope.caller);
        let declared = format!("{{{}}}", self.scope.tenant_id);
        let on_behalf = [(&claims as _, Type::TEXT), (&declared as _, Type::TEXT)];
        let read = self.client.query_after((ON_BEHALF, &on_behalf), (sql, arguments)).await;
        read.map_err(|error| QueryError::Unavailable(described(&error)))
    }
}
