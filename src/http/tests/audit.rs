//! The list of changes, page by page.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use codeccloud_actors::testing::time;

use super::house::{House, Mood};
use super::{get, send};
use crate::ports::{Audit, AuditEntry, Page, QueryError, Scope};

/// A log of three entries.
impl Audit for House {
    fn entries(
        &self,
        _: Scope,
        before: Option<i64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<AuditEntry>, QueryError>> {
        let entry = |id| AuditEntry {
            id,
            actor_id: None,
            event_type: "delete".to_owned(),
            entity: "products".to_owned(),
            entity_id: None,
            before: Some(RawValue::from_string("{\"id\":1}".to_owned()).expect("JSON")),
            after: None,
            performed_at: time("2027-03-01T08:00:00Z"),
            context: None,
        };
        let ids = (1..=3).rev().filter(move |id| before.is_none_or(|before| *id < before));
        let items: Vec<AuditEntry> = ids.map(entry).collect();
        let more = items.len() > limit;
        ready(Ok(Page { items: items.into_iter().take(limit).collect(), more })).boxed()
    }
}

#[actix_web::test]
async fn changes_come_newest_first_with_their_rows_as_they_were() {
    let house = House::that(Mood::Accepts);
    let first = send(&house, get("/v1/admin/audit?limit=2")).await.json();
    let ids = |page: &Value| -> Vec<Value> {
        page["data"].as_array().into_iter().flatten().map(|entry| entry["id"].clone()).collect()
    };
    assert_eq!((ids(&first), &first["nextCursor"]), (vec![json!(3), json!(2)], &json!("2")));
    assert_eq!((&first["data"][0]["before"], &first["data"][0]["after"]), (&json!({ "id": 1 }), &Value::Null));
    let rest = send(&house, get("/v1/admin/audit?limit=2&cursor=2")).await.json();
    assert_eq!((ids(&rest), &rest["nextCursor"]), (vec![json!(1)], &Value::Null));
    let reply = send(&house, get("/v1/admin/audit?cursor=x&limit=2")).await;
    assert_eq!(reply.problem(422, "validation-error"), ["cursor"]);
}
