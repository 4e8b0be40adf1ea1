//! The store in memory: journal, streams, snapshots and idempotency keys behind one lock, with the same promises as the
//! real one, and with faults on demand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::envelope::RecordedEvent;
use crate::event::Event;
use crate::ids::{NodeId, Position, StreamId, TenantId, Version};
use crate::ports::{
    Append, AppendError, Committed, Completion, FeedPlace, IdempotencyStore, Journal, LoadedStream, Snapshot,
    SnapshotStore, StoreError, StoredAnswer, StreamStore,
};
use crate::time::Timestamp;

#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    streams: HashMap<StreamId, Vec<RecordedEvent>>,
    snapshots: HashMap<StreamId, Snapshot>,
    keys: HashMap<(TenantId, String), StoredAnswer>,
    transactions: u64,
    /// Appends that wait while the journal is held.
    held: Option<VecDeque<(Append, Completion)>>,
    faults: VecDeque<Fault>,
    unreachable: bool,
}

/// What happens to the next append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is committed, and the answer gets lost.
    AnswerLost,
    /// It is not committed, and nobody can tell.
    LostBeforeCommit,
    Unavailable,
    QueueFull,
}

impl MemoryStore {
    /// From now on appends wait until [`MemoryStore::release`].
    pub fn hold(&self) {
        self.lock().held = Some(VecDeque::new());
    }

    /// Commits what has waited, in order.
    pub fn release(&self) {
        let held = self.lock().held.take().unwrap_or_default();
        for (append, done) in held {
            self.settle(append, done);
        }
    }

    pub fn waiting(&self) -> usize {
        self.lock().held.as_ref().map_or(0, VecDeque::len)
    }

    pub fn inject(&self, fault: Fault) {
        self.lock().faults.push_back(fault);
    }

    /// Loading fails from now on, or works again.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.lock().unreachable = unreachable;
    }

    pub fn events(&self, stream: StreamId) -> Vec<RecordedEvent> {
        self.lock().streams.get(&stream).cloned().unwrap_or_default()
    }

    pub fn snapshot(&self, stream: StreamId) -> Option<Snapshot> {
        self.lock().snapshots.get(&stream).cloned()
    }

    /// Appends behind the runtime's back, as another node does.
    pub fn append(&self, append: Append) -> Result<Committed, AppendError> {
        commit(&mut self.lock(), append)
    }

    fn settle(&self, append: Append, done: Completion) {
        let fault = self.lock().faults.pop_front();
        let result = match fault {
            None => commit(&mut self.lock(), append),
            Some(Fault::AnswerLost) => {
                let committed = commit(&mut self.lock(), append);
                committed.and(Err(AppendError::Unknown("injected".to_owned())))
            }
            Some(Fault::LostBeforeCommit) => Err(AppendError::Unknown("injected".to_owned())),
            Some(Fault::Unavailable) => Err(AppendError::Unavailable("injected".to_owned())),
            Some(Fault::QueueFull) => Err(AppendError::QueueFull),
        };
        done(result);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn commit(inner: &mut Inner, append: Append) -> Result<Committed, AppendError> {
    if let Some(record) = &append.idempotency
        && let Some(stored) = inner.keys.get(&(append.tenant_id, record.key.clone()))
    {
        return Err(AppendError::Duplicate(stored.clone()));
    }
    for part in &append.streams {
        let head = inner.streams.get(&part.stream).map_or(0, Vec::len);
        if head != part.expected.0 as usize {
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
        };
        inner.keys.insert((append.tenant_id, record.key), stored);
    }
    Ok(Committed { transaction_id: inner.transactions, recorded_at })
}

fn record(inner: &mut Inner, part: crate::ports::StreamAppend, node_id: Option<NodeId>) {
    if part.events.is_empty() {
        return;
    }
    let transaction_id = inner.transactions;
    let stream = inner.streams.entry(part.stream).or_default();
    for (offset, event) in part.events.into_iter().enumerate() {
        let kind = part.stream.aggregate_type;
        stream.push(RecordedEvent {
            event_id: event.event_id,
            stream: part.stream,
            version: part.expected.plus(offset + 1),
            place: FeedPlace { cluster_id: 1, transaction_id, position: Position(0) },
            occurred_at: event.occurred_at,
            node_id,
            traceparent: None,
            event: Event::read(kind, event.event_type, event.schema_version, &event.payload),
        });
    }
}

impl Journal for MemoryStore {
    fn submit(&self, append: Append, done: Completion) -> bool {
        if self.lock().faults.front() == Some(&Fault::QueueFull) {
            self.lock().faults.pop_front();
            done(Err(AppendError::QueueFull));
            return false;
        }
        let mut inner = self.lock();
        if let Some(held) = &mut inner.held {
            held.push_back((append, done));
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
            let inner = self.lock();
            if inner.unreachable {
                return Err(StoreError("injected".to_owned()));
            }
            let head = inner.streams.get(&stream).map_or(0, Vec::len);
            Ok(LoadedStream {
                stream,
                head: Version(u32::try_from(head).expect("few events")),
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
        let events = self.events(loaded.stream);
        let after = events.into_iter().filter(move |event| event.version > after && event.version <= loaded.head);
        std::future::ready(Ok(after.take(100).collect())).boxed()
    }
}

impl SnapshotStore for MemoryStore {
    fn save(&self, snapshot: Snapshot) {
        self.lock().snapshots.insert(snapshot.stream, snapshot);
    }
}

impl IdempotencyStore for MemoryStore {
    fn find<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredAnswer>, StoreError>> {
        let stored = self.lock().keys.get(&(tenant_id, key.to_owned())).cloned();
        std::future::ready(Ok(stored)).boxed()
    }
}
