//! A row of `event_store` as the core knows it.

use codeccloud_actors::envelope::RecordedEvent;
use codeccloud_actors::event::Event;
use codeccloud_actors::ids::{AggregateType, EventId, NodeId, Position, StreamId, TenantId, Version};
use codeccloud_actors::ports::FeedPlace;
use serde::Deserialize;
use tokio_postgres::Row;

use super::types::{JsonText, PgTime, Xid8};

pub(super) const EVENT_COLUMNS: &str = "id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, \
     occurred_at, position, transaction_id, cluster_id, recorded_at, schema_version, metadata";

/// What readers want of the metadata.
#[derive(Deserialize)]
struct Head<'a> {
    node_id: Option<NodeId>,
    #[serde(borrow)]
    traceparent: Option<&'a str>,
}

/// `None` for an event of an aggregate type that only newer builds know, as it is while they take this one's place:
/// nothing here folds it. A newer event type of a known one is another matter, and stops who needs it.
pub(super) fn recorded_event(row: &Row) -> Option<RecordedEvent> {
    let aggregate_type = AggregateType::parse(row.get(2))?;
    let event_type: &str = row.get(4);
    let JsonText(payload) = row.get(6);
    let PgTime(occurred_at) = row.get(7);
    let Xid8(transaction_id) = row.get(9);
    let schema_version = u16::try_from(row.get::<_, i16>(12)).unwrap_or(0);
    let JsonText(metadata) = row.get(13);
    let head: Option<Head<'_>> = serde_json::from_slice(metadata).ok();
    Some(RecordedEvent {
        event_id: EventId(row.get(0)),
        stream: StreamId { tenant_id: TenantId(row.get(1)), aggregate_type, aggregate_id: row.get(3) },
        version: Version(u32::try_from(row.get::<_, i32>(5)).unwrap_or(0)),
        place: FeedPlace { cluster_id: row.get(10), transaction_id, position: Position(row.get(8)) },
        occurred_at,
        node_id: head.as_ref().and_then(|head| head.node_id),
        traceparent: head.and_then(|head| head.traceparent.map(str::to_owned)),
        event: Event::read(aggregate_type, event_type, schema_version, payload),
    })
}
