//! The log as its readers see it.

use std::pin::pin;
use std::sync::Arc;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::time::Timestamp;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use serde_json::value::RawValue;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::ports::{Audit, AuditEntry, Page, QueryError, Scope};
use crate::postgres::types::{JsonText, PgTime};
use crate::postgres::{CallerPool, PooledClient};

const COLUMNS: &str = "id, actor_id, event_type, entity, entity_id, before, after, performed_at, context";

pub struct PostgresAudit {
    members: Arc<CallerPool>,
}

impl PostgresAudit {
    /// Members, so that the policies decide what is seen.
    pub fn new(members: Arc<CallerPool>) -> PostgresAudit {
        PostgresAudit { members }
    }

    async fn read(&self, scope: Scope, before: Option<i64>, limit: usize) -> Result<Page<AuditEntry>, QueryError> {
        let away = |error: &dyn std::fmt::Display| QueryError::Unavailable(error.to_string());
        let Scope { tenant_id, caller } = scope;
        let claims = json!({ "sub": caller.user_id, "role": "authenticated", "tenant_id": tenant_id }).to_string();
        let sql = format!("SELECT {COLUMNS} FROM audit_log WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
        let (before, one_more) = (before.unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1);
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&tenant_id.0, Type::UUID), (&before, Type::INT8), (&one_more, Type::INT8)];
        let client = self.members.for_reading().await.map_err(|error| away(&error))?;
        let on_behalf = "SELECT set_config('request.jwt.claims', $1, true)";
        let rows = client.query_after((on_behalf, &[(&claims, Type::TEXT)]), (&sql, &parameters)).await;
        let rows = rows.map_err(|error| away(&error))?;
        let items = rows.iter().take(limit).map(entry).collect();
        Ok(Page { items, more: rows.len() > limit })
    }
}

impl Audit for PostgresAudit {
    fn entries(
        &self,
        scope: Scope,
        before: Option<i64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<AuditEntry>, QueryError>> {
        Box::pin(self.read(scope, before, limit))
    }
}

/// Hands over each entry of the tenant from `[from, to)`, oldest first, as it comes. `client` has the role of the sealer.
pub async fn export(
    client: &mut PooledClient,
    tenant_id: TenantId,
    from: Timestamp,
    to: Timestamp,
    mut take: impl FnMut(AuditEntry) -> std::io::Result<()>,
) -> Result<std::io::Result<()>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_log WHERE tenant_id = $1 AND performed_at >= $2 AND performed_at < $3 ORDER BY id"
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&tenant_id.0, Type::UUID), (&PgTime(from), Type::TIMESTAMPTZ), (&PgTime(to), Type::TIMESTAMPTZ)];
    let snapshot = client.long_snapshot().await?;
    let mut rows = pin!(snapshot.query_typed_raw(&sql, parameters).await?);
    while let Some(row) = rows.try_next().await? {
        if let Err(error) = take(entry(&row)) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

fn entry(row: &Row) -> AuditEntry {
    let json = |column| {
        let text = row.get::<_, Option<JsonText<'_>>>(column).map(|JsonText(text)| String::from_utf8_lossy(text));
        text.map(|text| RawValue::from_string(text.into_owned()).expect("jsonb is JSON"))
    };
    let PgTime(performed_at) = row.get(7);
    AuditEntry {
        id: row.get(0),
        actor_id: row.get(1),
        event_type: row.get(2),
        entity: row.get(3),
        entity_id: row.get(4),
        before: json(5),
        after: json(6),
        performed_at,
        context: json(8),
    }
}
