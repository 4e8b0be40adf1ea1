//! The store in memory: journal, streams, snapshots and idempotency keys behind one lock, with the same promises as the
//! real one, and with faults on demand.

mod ports;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::envelope::RecordedEvent;
use crate::ids::{StreamId, TenantId};
use crate::ports::{Append, AppendError, Committed, Completion, Head, Snapshot, StoredAnswer};

#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    /// Wakes loads that were held.
    loading: Notify,
}

#[derive(Default)]
struct Inner {
    streams: HashMap<StreamId, Vec<RecordedEvent>>,
    snapshots: HashMap<StreamId, Snapshot>,
    keys: HashMap<(TenantId, String), StoredAnswer>,
    transactions: u64,
    positions: i64,
    loads: usize,
    events_read: usize,
    held: Option<Held>,
    loads_held: bool,
    faults: VecDeque<Fault>,
    unreachable: bool,
    unreadable: HashSet<StreamId>,
}

impl Inner {
    fn head(&self, stream: StreamId) -> Head {
        let last = self.streams.get(&stream).and_then(|events| events.last());
        last.map_or(Head::NONE, |last| Head { version: last.version, last_event_id: Some(last.event_id) })
    }
}

/// The journal's queue while it is held.
struct Held {
    appends: VecDeque<(Append, Completion)>,
    capacity: usize,
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
        self.hold_at_most(usize::MAX);
    }

    /// Appends wait, and those for which the queue has no room are turned away.
    pub fn hold_at_most(&self, capacity: usize) {
        self.lock().held = Some(Held { appends: VecDeque::new(), capacity });
    }

    /// Commits what has waited, in order.
    pub fn release(&self) {
        let held = self.lock().held.take();
        for (append, done) in held.into_iter().flat_map(|held| held.appends) {
            self.settle(append, done);
        }
    }

    pub fn waiting(&self) -> usize {
        self.lock().held.as_ref().map_or(0, |held| held.appends.len())
    }

    /// From now on whoever loads a stream waits until [`MemoryStore::release_loads`].
    pub fn hold_loads(&self) {
        self.lock().loads_held = true;
    }

    pub fn release_loads(&self) {
        self.lock().loads_held = false;
        self.loading.notify_waiters();
    }

    pub fn inject(&self, fault: Fault) {
        self.lock().faults.push_back(fault);
    }

    /// Loads and lookups fail from now on, or work again.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.lock().unreachable = unreachable;
    }

    /// Loading this one stream fails from now on, or works again.
    pub fn set_unreadable(&self, stream: StreamId, unreadable: bool) {
        let mut inner = self.lock();
        if unreadable {
            inner.unreadable.insert(stream);
        } else {
            inner.unreadable.remove(&stream);
        }
    }

    pub fn head(&self, stream: StreamId) -> Head {
        self.lock().head(stream)
    }

    pub fn events(&self, stream: StreamId) -> Vec<RecordedEvent> {
        self.lock().streams.get(&stream).cloned().unwrap_or_default()
    }

    /// All events, in the order of their positions.
    pub fn history(&self) -> Vec<RecordedEvent> {
        let mut events: Vec<RecordedEvent> = self.lock().streams.values().flatten().cloned().collect();
        events.sort_unstable_by_key(|event| event.place.position);
        events
    }

    /// How often a stream was loaded, with or without success.
    pub fn loads(&self) -> usize {
        self.lock().loads
    }

    /// How many events recoveries have read so far.
    pub fn events_read(&self) -> usize {
        self.lock().events_read
    }

    pub fn snapshot(&self, stream: StreamId) -> Option<Snapshot> {
        self.lock().snapshots.get(&stream).cloned()
    }

    /// Appends behind the runtime's back, as another node does.
    pub fn append(&self, append: Append) -> Result<Committed, AppendError> {
        ports::commit(&mut self.lock(), append)
    }

    fn settle(&self, append: Append, done: Completion) {
        let fault = self.lock().faults.pop_front();
        let result = match fault {
            None => ports::commit(&mut self.lock(), append),
            Some(Fault::AnswerLost) => {
                let committed = ports::commit(&mut self.lock(), append);
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
