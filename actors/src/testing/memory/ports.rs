//! The ports that the store implements.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::envelope::RecordedEvent;
use crate::event::Event;
use crate::ids::{NodeId, Position, StreamId, TenantId, Version};
use crate::ports::{
    Append, AppendError, Committed, Completion, FeedPlace, IdempotencyStore, Journal, LoadedStream, Snapshot,
    SnapshotStore, StoreError, StoredAnswer, StreamAppend, StreamStore,
};
use crate::time::Timestamp;

use super::{Fault, Inner, MemoryStore};

/// A bounded number at a time, as the port says.
const READ_MAX: usize = 100;

impl Journal for MemoryStore {
    fn submit(&self, append: Append, done: Completion) -> bool {
        let mut inner = self.lock();
        let full = inner.held.as_ref().is_some_and(|held| held.appends.len() >= held.capacity);
        let injected = inner.faults.pop_front_if(|fault| *fault == Fault::QueueFull).is_some();
        if full || injected {
            drop(inner);
            done(Err(AppendError::QueueFull));
            return false;
        }
        if let Some(held) = &mut inner.held {
            held.appends.push_back((append, done));
            return true;
        }
        drop(inner);
        self.settle(append, done);
        true
    }
}

impl StreamStore for MemoryStore {
    fn load(&self, stream: StreamId) -> BoxFuture<'_, Result<LoadedStream, StoreError>> {
        async move {
            loop {
                let released = self.loading.notified();
                if !self.lock().loads_held {
                    break;
                }
                released.await;
            }
            let mut inner = self.lock();
            inner.loads += 1;
            if inner.unreachable || inner.unreadable.contains(&stream) {
                return Err(injected());
            }
            Ok(LoadedStream {
                stream,
                head: inner.head(stream),
                snapshot: inner.snapshots.get(&stream).cloned(),
                first_recorded_at: Timestamp::default(),
                last_recorded_at: Timestamp::default(),
            })
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        loaded: &'a LoadedStream,
        after: Version,
    ) -> BoxFuture<'a, Result<Vec<RecordedEvent>, StoreError>> {
        let events = self.events(loaded.stream).into_iter();
        let events = events.filter(|event| event.version > after && event.version <= loaded.head.version);
        let events: Vec<RecordedEvent> = events.take(READ_MAX).collect();
        self.lock().events_read += events.len();
        std::future::ready(Ok(events)).boxed()
    }
}

impl SnapshotStore for MemoryStore {
    fn save(&self, snapshot: Snapshot) {
        let mut inner = self.lock();
        let kept = inner.snapshots.get(&snapshot.stream);
        if kept.is_none_or(|kept| kept.version <= snapshot.version) {
            inner.snapshots.insert(snapshot.stream, snapshot);
        }
    }
}

impl IdempotencyStore for MemoryStore {
    fn find<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredAnswer>, StoreError>> {
        let inner = self.lock();
        let stored =
            if inner.unreachable { Err(injected()) } else { Ok(inner.keys.get(&(tenant_id, key.to_owned())).cloned()) };
        std::future::ready(stored).boxed()
    }

    fn committed<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredAnswer>, StoreError>> {
        self.find(tenant_id, key)
    }
}

pub(super) fn commit(inner: &mut Inner, append: Append) -> Result<Committed, AppendError> {
    if let Some(record) = &append.idempotency
        && let Some(stored) = inner.keys.get(&(append.tenant_id, record.key.clone()))
    {
        return Err(AppendError::Duplicate(stored.clone()));
    }
    for part in &append.streams {
        if inner.head(part.stream) != part.expected {
            return Err(AppendError::Conflict);
        }
    }
    inner.transactions += 1;
    let recorded_at = Timestamp::from_millis(i64::try_from(inner.transactions).expect("few transactions"));
    let node_id = serde_json::from_slice::<serde_json::Value>(&append.metadata)
        .ok()
        .and_then(|metadata| metadata["node_id"].as_str()?.parse().ok());
    for part in append.streams {
        record(inner, part, node_id);
    }
    if let Some(record) = append.idempotency {
        let stored = StoredAnswer {
            command_id: append.command_id,
            request_hash: record.request_hash,
            status: record.status,
            answer: record.answer,
            sealed_for: record.sealed_for,
            transaction_id: inner.transactions,
        };
        inner.keys.insert((append.tenant_id, record.key), stored);
    }
    Ok(Committed { transaction_id: inner.transactions, recorded_at })
}

fn record(inner: &mut Inner, part: StreamAppend, node_id: Option<NodeId>) {
    let transaction_id = inner.transactions;
    for (offset, event) in part.events.into_iter().enumerate() {
        inner.positions += 1;
        let kind = part.stream.aggregate_type;
        inner.streams.entry(part.stream).or_default().push(RecordedEvent {
            event_id: event.event_id,
            stream: part.stream,
            version: part.expected.version.plus(offset + 1),
            place: FeedPlace { cluster_id: 1, transaction_id, position: Position(inner.positions) },
            occurred_at: event.occurred_at,
            node_id,
            traceparent: None,
            event: Event::read(kind, event.event_type, event.schema_version, &event.payload),
        });
    }
}

fn injected() -> StoreError {
    StoreError("injected".to_owned())
}
