//! From an aggregate's id to its actor, which is started on demand and passivated when idle.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::dev::channel;
use actix::prelude::SendError;
use actix::{Addr, Context};
use uuid::Uuid;

use crate::ids::{AggregateType, StreamId, TenantId, Version};
use crate::metrics_catalogue as names;

use super::Shared;
use super::aggregate_actor::{AggregateActor, ForeignEvent, Passivate, Task};
use super::execution::{Execution, ExecutionError};
use super::mailboxes::Mailboxes;
use super::routes::Routed;

/// Many more than threads, so that two of them rarely want the same.
const SHARDS: usize = 64;

pub(super) struct Router<A: Routed> {
    shards: [Mutex<Shard<A>>; SHARDS],
    hasher: RandomState,
    pub mailboxes: Mailboxes,
}

type Key = (TenantId, Uuid);
type Shard<A> = HashMap<Key, Entry<A>>;

struct Entry<A: Routed> {
    /// The one that everything is sent through, and no clone of it: of each clone's messages, the mailbox takes one more
    /// than its bound.
    address: Addr<AggregateActor<A>>,
    /// In milliseconds of the runtime's own clock.
    last_used: u64,
}

/// What the runtime does with all routers alike.
pub(super) trait AnyRouter: Send + Sync {
    fn aggregate_type(&self) -> AggregateType;
    /// Lets go of actors that were last used at `cutoff`, in milliseconds of the runtime's clock, or before.
    fn passivate(&self, cutoff: u64);
    fn ages(&self, into: &mut Vec<u64>);
    fn foreign_event(&self, stream: StreamId, version: Version);
}

impl<A: Routed> Default for Router<A> {
    fn default() -> Self {
        Router {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            mailboxes: Mailboxes::of(A::TYPE),
        }
    }
}

impl<A: Routed> Router<A> {
    pub fn send(&self, shared: &Arc<Shared>, id: Uuid, command: A::Command, execution: Box<Execution>) {
        let key = (execution.tenant_id, id);
        if let Err((execution, error)) = self.deliver(shared, key, Task { command, execution }) {
            execution.fail(error);
        }
    }

    /// Puts the task into the mailbox of its actor, which is started if there is none, or the last one has ended.
    fn deliver(&self, shared: &Arc<Shared>, key: Key, task: Task<A>) -> Result<(), (Box<Execution>, ExecutionError)> {
        let now = shared.elapsed_ms();
        let mut shard = self.shard(key);
        let task = match shard.get_mut(&key) {
            None => task,
            Some(entry) => {
                entry.last_used = now;
                match entry.address.try_send(task) {
                    Ok(()) => return Ok(()),
                    Err(SendError::Full(task)) => {
                        return Err((task.execution, ExecutionError::unavailable(format!("{} is busy", A::TYPE))));
                    }
                    Err(SendError::Closed(task)) => task,
                }
            }
        };
        shard.remove(&key);
        if !shared.actor_starts() {
            return Err((task.execution, ExecutionError::unavailable("too many aggregates are active")));
        }
        let stream = StreamId { tenant_id: key.0, aggregate_type: A::TYPE, aggregate_id: key.1 };
        let address = start(AggregateActor::new(stream, Arc::clone(shared)), shared, self.hasher.hash_one(key));
        let sent = address.try_send(task);
        shard.insert(key, Entry { address, last_used: now });
        sent.map_err(|(SendError::Full(task) | SendError::Closed(task))| {
            (task.execution, ExecutionError::unavailable(format!("{} is restarting", A::TYPE)))
        })
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard<A>> {
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).expect("fewer shards than addresses");
        // A map is whole between any two of its calls, so one that a panic left behind can be used.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Routed> AnyRouter for Router<A> {
    fn aggregate_type(&self) -> AggregateType {
        A::TYPE
    }

    fn passivate(&self, cutoff: u64) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = shard.len();
            // A full mailbox is not idle.
            shard.retain(|_, entry| entry.last_used > cutoff || entry.address.try_send(Passivate).is_err());
            let passivated = (before - shard.len()) as u64;
            metrics::counter!(names::ACTOR_PASSIVATIONS.name, "aggregate_type" => A::TYPE.as_str())
                .increment(passivated);
        }
    }

    fn ages(&self, into: &mut Vec<u64>) {
        for shard in &self.shards {
            into.extend(shard.lock().unwrap_or_else(PoisonError::into_inner).values().map(|entry| entry.last_used));
        }
    }

    fn foreign_event(&self, stream: StreamId, version: Version) {
        let key = (stream.tenant_id, stream.aggregate_id);
        if let Some(entry) = self.shard(key).get(&key) {
            // Should the mailbox be full, the actor learns of it by a conflict.
            let _ = entry.address.try_send(ForeignEvent(version));
        }
    }
}

/// Starts an actor whose mailbox has its full capacity from the first message on, unlike that of `start_in_arbiter`.
fn start<A: Routed>(actor: AggregateActor<A>, shared: &Shared, hash: u64) -> Addr<AggregateActor<A>> {
    let (sender, receiver) = channel::channel(shared.settings.mailbox_capacity);
    shared.arbiter(hash).spawn_fn(move || {
        actix::spawn(Context::with_receiver(receiver).into_future(actor));
    });
    Addr::new(sender)
}
