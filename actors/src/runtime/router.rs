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
    address: Addr<AggregateActor<A>>,
    /// In seconds of the runtime's own clock.
    last_used: u32,
}

/// What the runtime does with all routers alike.
pub(super) trait AnyRouter: Send + Sync {
    fn aggregate_type(&self) -> AggregateType;
    /// Lets go of actors that were last used at `cutoff` or before.
    fn passivate(&self, cutoff: u32);
    fn ages(&self, into: &mut Vec<u32>);
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
        let mut task = Task { command, execution };
        // Twice at most: an actor that ended a moment ago is replaced by a new one.
        for _ in 0..2 {
            let address = match self.address(shared, key) {
                Ok(address) => address,
                Err(error) => return task.execution.fail(error),
            };
            match address.try_send(task) {
                Ok(()) => return,
                Err(SendError::Full(task)) => {
                    return task.execution.fail(ExecutionError::unavailable(format!("{} is busy", A::TYPE)));
                }
                Err(SendError::Closed(returned)) => {
                    self.forget(key, &address);
                    task = returned;
                }
            }
        }
        task.execution.fail(ExecutionError::unavailable(format!("{} is restarting", A::TYPE)));
    }

    fn address(&self, shared: &Arc<Shared>, key: Key) -> Result<Addr<AggregateActor<A>>, ExecutionError> {
        let now = shared.seconds();
        let mut shard = self.shard(key);
        if let Some(entry) = shard.get_mut(&key) {
            entry.last_used = now;
            return Ok(entry.address.clone());
        }
        if !shared.actor_starts() {
            return Err(ExecutionError::unavailable("too many aggregates are active"));
        }
        let stream = StreamId { tenant_id: key.0, aggregate_type: A::TYPE, aggregate_id: key.1 };
        let address = start(AggregateActor::new(stream, Arc::clone(shared)), shared, self.hasher.hash_one(key));
        shard.insert(key, Entry { address: address.clone(), last_used: now });
        Ok(address)
    }

    fn forget(&self, key: Key, address: &Addr<AggregateActor<A>>) {
        let mut shard = self.shard(key);
        if shard.get(&key).is_some_and(|entry| entry.address == *address) {
            shard.remove(&key);
        }
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

    fn passivate(&self, cutoff: u32) {
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

    fn ages(&self, into: &mut Vec<u32>) {
        for shard in &self.shards {
            into.extend(shard.lock().unwrap_or_else(PoisonError::into_inner).values().map(|entry| entry.last_used));
        }
    }

    fn foreign_event(&self, stream: StreamId, version: Version) {
        let key = (stream.tenant_id, stream.aggregate_id);
        let address = self.shard(key).get(&key).map(|entry| entry.address.clone());
        if let Some(address) = address {
            // Should the mailbox be full, the actor learns of it by a conflict.
            let _ = address.try_send(ForeignEvent(version));
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
