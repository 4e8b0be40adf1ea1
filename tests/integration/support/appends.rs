//! Appends made by hand, for tests of the journal and the feed.

use std::sync::Arc;
use std::time::Duration;

use codeccloud::clock::SystemIds;
use codeccloud::postgres::{DatabaseRole, FeedWaker, JournalSettings, PostgresIdempotency, PostgresJournal};
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, CommandId, EventId, StreamId, TenantId, Version};
use codeccloud_actors::ports::{
    Append, AppendError, Committed, Head, IdempotencyRecord, IdempotencyStore, Ids, Journal, NewEvent, StreamAppend,
};
use codeccloud_actors::sagas::booking::{BookingConfirmed, BookingEvent};
use codeccloud_actors::time::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Database;

pub fn stream(tenant: u128, id: u128) -> StreamId {
    StreamId {
        tenant_id: TenantId(Uuid::from_u128(tenant)),
        aggregate_type: AggregateType::Booking,
        aggregate_id: Uuid::from_u128(id),
    }
}

/// Of a stream that holds such events only.
pub fn events(stream: StreamId, expected: u32, count: usize) -> StreamAppend {
    let event = BookingEvent::Confirmed(BookingConfirmed {});
    let expected = Version(expected);
    let events = (1..=count).map(|offset| NewEvent {
        event_id: event_id(stream, expected.plus(offset)),
        event_type: event.event_type(),
        schema_version: event.schema_version(),
        payload: event.payload(),
        occurred_at: Timestamp::from_millis(1_900_000_000_000),
    });
    let last_event_id = (expected > Version::NONE).then(|| event_id(stream, expected));
    StreamAppend { stream, expected: Head { version: expected, last_event_id }, events: events.collect() }
}

fn event_id(stream: StreamId, version: Version) -> EventId {
    EventId(Uuid::from_u128(stream.aggregate_id.as_u128() << 64 | u128::from(version.0)))
}

pub fn append(streams: Vec<StreamAppend>) -> Append {
    Append {
        tenant_id: streams[0].stream.tenant_id,
        command_id: CommandId(SystemIds.uuid()),
        metadata: r#"{"origin":"actor"}"#.into(),
        streams,
        idempotency: None,
        sagas: Vec::new(),
        sealed: Vec::new(),
        rows: Vec::new(),
    }
}

pub fn keyed(mut append: Append, key: &str) -> Append {
    append.idempotency = Some(IdempotencyRecord {
        key: key.to_owned(),
        request_hash: [7; 32],
        status: 201,
        answer: "{}".into(),
        sealed_for: None,
    });
    append
}

pub fn journal(database: &Database) -> PostgresJournal {
    journal_on(&database.database())
}

pub fn journal_on(database: &codeccloud::postgres::Database) -> PostgresJournal {
    let readers = database.pool(DatabaseRole::Reader, 2, Duration::from_secs(5));
    let idempotency: Arc<dyn IdempotencyStore> = Arc::new(PostgresIdempotency::new(readers));
    let settings =
        JournalSettings { lanes: 2, queue_max: 8_192, batch_max: 512, reconnect_pause: Duration::from_millis(20) };
    PostgresJournal::start(database, &settings, &idempotency, &FeedWaker::default())
}

/// Queues all of them at once, so that they meet in a batch, and returns what became of each.
pub async fn submit_all(journal: &PostgresJournal, appends: Vec<Append>) -> Vec<Result<Committed, AppendError>> {
    let waiting: Vec<oneshot::Receiver<_>> = appends
        .into_iter()
        .map(|append| {
            let (sender, receiver) = oneshot::channel();
            journal.submit(append, Box::new(move |result| drop(sender.send(result))));
            receiver
        })
        .collect();
    let mut results = Vec::new();
    for receiver in waiting {
        results.push(receiver.await.unwrap());
    }
    results
}
