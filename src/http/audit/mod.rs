//! What was changed, by whom: the audit log of a workspace.

use actix_web::HttpResponse;
use actix_web::web::Data;
use codeccloud_actors::ids::UserId;
use codeccloud_actors::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Door;
use super::extractors::Query;
use super::paging::{self, Listing};
use super::problem::Problem;
use super::session::Session;
use super::validate::{FieldErrors, Validate};
use crate::ports;

#[derive(Deserialize, JsonSchema)]
pub struct AuditQuery {
    /// 1 to 200; absent: 50.
    #[schemars(range(min = 1, max = paging::LIMIT_MAX))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Rises with time.
    pub id: i64,
    /// Null where a row was changed by hand.
    pub actor_id: Option<UserId>,
    /// `insert`, `update` or `delete`.
    pub event_type: String,
    /// The table; of appointments, that of their month.
    pub entity: String,
    pub entity_id: Option<String>,
    /// The row as it was.
    #[schemars(schema_with = "row")]
    pub before: Option<Box<RawValue>>,
    /// The row as it became.
    #[schemars(schema_with = "row")]
    pub after: Option<Box<RawValue>>,
    pub performed_at: Timestamp,
    /// Where the change came from.
    #[schemars(schema_with = "row")]
    pub context: Option<Box<RawValue>>,
}

/// With the columns of its table.
fn row(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["object", "null"] })
}

impl Validate for AuditQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        paging::check_limit(errors, self.limit);
    }
}

/// The cursor is the id of the last entry.
pub async fn list(
    door: Data<Door>,
    session: Session,
    Query(query): Query<AuditQuery>,
) -> Result<HttpResponse, Problem> {
    let before = query.cursor.map(|cursor| cursor.parse().map_err(|_| paging::unreadable_cursor()));
    let page = door.audit.entries(session.scope(), before.transpose()?, paging::limit(query.limit)).await?;
    let next_cursor = page.items.last().filter(|_| page.more).map(|entry| entry.id.to_string());
    let data = page.items.into_iter().map(AuditEntry::from).collect();
    Ok(HttpResponse::Ok().json(Listing { data, next_cursor }))
}

impl From<ports::AuditEntry> for AuditEntry {
    fn from(entry: ports::AuditEntry) -> AuditEntry {
        let ports::AuditEntry { id, actor_id, event_type, entity, entity_id, before, after, performed_at, context } =
            entry;
        AuditEntry {
            id,
            actor_id: actor_id.map(UserId),
            event_type,
            entity,
            entity_id,
            before,
            after,
            performed_at,
            context,
        }
    }
}
