use codeccloud_actors::time::Timestamp;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Page, QueryError, Scope};

/// What was changed in the tenant's rows, and by whom.
pub trait Audit: Send + Sync + 'static {
    /// Newest first, those with an id below `before`. Who is no member sees none.
    fn entries(
        &self,
        scope: Scope,
        before: Option<i64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<AuditEntry>, QueryError>>;
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    pub id: i64,
    /// The user; missing where a row was changed by hand.
    pub actor_id: Option<Uuid>,
    /// `insert`, `update` or `delete`.
    pub event_type: String,
    /// The table or partition.
    pub entity: String,
    pub entity_id: Option<String>,
    /// The whole row, as it was and as it became.
    pub before: Option<Box<RawValue>>,
    pub after: Option<Box<RawValue>>,
    pub performed_at: Timestamp,
    pub context: Option<Box<RawValue>>,
}
