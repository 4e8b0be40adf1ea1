//! The only folder that names actix: actors behind handles.
//!
//! A command goes to the actor of its aggregate, which decides it and hands the events to the journal. What other
//! aggregates have to agree to is asked of them in turn, and all parts go into one append.

mod aggregate_actor;
mod bus;
mod execution;
mod flight;
mod freshness;
mod mailboxes;
mod orders;
mod projection_actor;
#[cfg(test)]
mod projection_behaviour;
mod projections;
mod published;
mod recovery;
mod router;
mod routes;
mod supervision;
mod sweeper;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::{Arbiter, ArbiterHandle};
use tokio::sync::{Notify, oneshot};
use tracing::Instrument;

use crate::aggregate::Aggregate;
use crate::command::Command;
use crate::envelope::RecordedEvent;
use crate::ids::{NodeId, StreamId};
use crate::ports::{Clock, Head, IdempotencyStore, Ids, Journal, SnapshotStore, StreamStore};
use crate::sagas::booking::{BookingCommand, BookingSaga};
use crate::trace;

pub use execution::{Executed, ExecutionError, Submission};
use execution::{Execution, Failure, Outcome};
use flight::Departure;
pub use projection_actor::ProjectionSettings;
pub use projections::{AnyProjection, ProjectionHandle, ProjectionPorts, Projections};
pub use published::{Published, View};
use routes::Routers;
use supervision::contained;

#[derive(Debug, Clone)]
pub struct RuntimeSettings {
    /// Threads that actors live on.
    pub arbiters: usize,
    /// Commands that may wait for one aggregate; more are answered 503.
    pub mailbox_capacity: usize,
    pub passivate_after: Duration,
    /// How many actors may be active; of more, the longest idle ones make room.
    pub active_max: usize,
    /// Events between two snapshots of an aggregate.
    pub snapshot_every: u32,
    /// How often a command is decided anew after another writer was first.
    pub conflict_retries: u32,
    pub restart_backoff_min: Duration,
    pub restart_backoff_max: Duration,
}

/// What the runtime is built from.
pub struct RuntimePorts {
    pub journal: Arc<dyn Journal>,
    pub streams: Arc<dyn StreamStore>,
    pub snapshots: Arc<dyn SnapshotStore>,
    pub idempotency: Arc<dyn IdempotencyStore>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

/// A handle on all actors of this node. Clones share them.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    journal: Arc<dyn Journal>,
    streams: Arc<dyn StreamStore>,
    snapshots: Arc<dyn SnapshotStore>,
    idempotency: Arc<dyn IdempotencyStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    node_id: NodeId,
    settings: RuntimeSettings,
    arbiters: Vec<ArbiterHandle>,
    routers: Routers,
    active: AtomicUsize,
    /// Wakes the sweeper when the ceiling is reached.
    crowded: Notify,
    started: Instant,
}

impl Runtime {
    /// Starts the arbiters; call it within an actix system.
    pub fn start(node_id: NodeId, settings: RuntimeSettings, ports: RuntimePorts) -> Runtime {
        let arbiters = (0..settings.arbiters.max(1)).map(|_| Arbiter::new().handle()).collect();
        let shared = Arc::new(Shared {
            journal: ports.journal,
            streams: ports.streams,
            snapshots: ports.snapshots,
            idempotency: ports.idempotency,
            clock: ports.clock,
            ids: ports.ids,
            node_id,
            settings,
            arbiters,
            routers: Routers::default(),
            active: AtomicUsize::new(0),
            crowded: Notify::new(),
            started: Instant::now(),
        });
        actix::spawn(sweeper::run(Arc::downgrade(&shared)));
        Runtime { shared }
    }

    /// Decides and commits a command. Conflicts are retried; an unknown outcome is looked up under the command's key.
    ///
    /// A refusal is an `Ok` with the answer for it. Dropping the future doesn't cancel a commit.
    pub async fn execute(&self, submission: Submission) -> Result<Executed, ExecutionError> {
        let mut retries_left = self.shared.settings.conflict_retries;
        loop {
            let span = trace::command(submission.command.aggregate_type());
            let error = match self.attempt(submission.clone()).instrument(span).await {
                Ok(executed) | Err(Failure::Refused(executed)) => return Ok(executed),
                Err(Failure::Error(error)) => error,
            };
            match &error {
                ExecutionError::Conflict => {}
                ExecutionError::Unknown(_) => {
                    // It may have been written, so it is not decided a second time.
                    let Some(key) = &submission.key else { return Err(error) };
                    let found = self.shared.idempotency.find(submission.tenant_id, key).await;
                    match found {
                        Ok(Some(stored)) => return Err(ExecutionError::Duplicate(stored)),
                        Ok(None) => {}
                        Err(away) => return Err(ExecutionError::unavailable(away.to_string())),
                    }
                }
                ExecutionError::CustomerMoved
                | ExecutionError::StageEnded
                | ExecutionError::RowInTheWay
                | ExecutionError::RowChanged
                | ExecutionError::Forbidden
                | ExecutionError::Duplicate(_)
                | ExecutionError::Unavailable { .. }
                | ExecutionError::Timeout
                | ExecutionError::Internal(_) => return Err(error),
            }
            if retries_left == 0 {
                return Err(ExecutionError::unavailable("other writers were first, again and again"));
            }
            retries_left -= 1;
            self.pause(submission.deadline).await?;
        }
    }

    async fn attempt(&self, submission: Submission) -> Outcome {
        let deadline = submission.deadline;
        let (reply, outcome) = oneshot::channel();
        let (command, execution) = Execution::begin(submission, reply);
        self.begin(command, Box::new(execution));
        match tokio::time::timeout_at(deadline.into(), outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::Error(ExecutionError::Unknown("an actor was dropped".to_owned()))),
            Err(_) => Err(Failure::Error(ExecutionError::Timeout)),
        }
    }

    /// A booking's first command needs no actor: its id is new, so nobody else can be deciding on it.
    fn begin(&self, command: Command, mut execution: Box<Execution>) {
        let Command::Booking(id, create @ BookingCommand::Create { .. }) = &command else {
            return self.shared.dispatch(command, execution);
        };
        let stream = StreamId { tenant_id: execution.tenant_id, aggregate_type: BookingSaga::TYPE, aggregate_id: id.0 };
        match contained(|| self.shared.create(stream, create, &mut execution)) {
            Some(Some(request)) => self.shared.dispatch(request, execution),
            Some(None) => Departure::refused(*execution).submit(&self.shared),
            None => execution.fail_after_panic(stream),
        }
    }

    /// A short pause that grows with nothing but chance: two nodes that collide should not collide again.
    async fn pause(&self, deadline: Instant) -> Result<(), ExecutionError> {
        let jitter = self.shared.ids.uuid().as_u128() % 8;
        let pause = Duration::from_millis(1 + u64::try_from(jitter).expect("below 8"));
        if Instant::now() + pause >= deadline {
            return Err(ExecutionError::Timeout);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Tells the aggregates' actors what other nodes have written.
    pub fn observe(&self, events: &[RecordedEvent]) {
        for recorded in events.iter().filter(|recorded| recorded.node_id != Some(self.shared.node_id)) {
            let routers = self.shared.routers.each();
            let router = routers.iter().find(|router| router.aggregate_type() == recorded.stream.aggregate_type);
            if let Some(router) = router {
                router.foreign_event(recorded.stream, recorded.version);
            }
        }
    }

    pub fn active_actors(&self) -> usize {
        self.shared.active.load(Ordering::Relaxed)
    }

    /// Snapshots all idle aggregates and lets go of them. For a graceful stop, after the last command was answered.
    pub fn passivate_all(&self) {
        for router in self.shared.routers.each() {
            router.passivate(u64::MAX);
        }
    }
}

impl Shared {
    /// Decides a booking's first command and returns what it asks of a calendar; `None` when it is refused.
    fn create(&self, stream: StreamId, create: &BookingCommand, execution: &mut Execution) -> Option<Command> {
        let now = self.clock.now();
        let mut state = BookingSaga::default();
        let decision = match state.decide(create, &execution.context, now) {
            Ok(decision) => decision,
            Err(refusal) => {
                execution.refuse(&refusal);
                return None;
            }
        };
        decision.events.iter().for_each(|event| state.evolve(event, now));
        let part = execution.decided(&*self.ids, stream, &state, Head::NONE, &decision, now);
        execution.parts.push(part);
        execution.requests = VecDeque::from(decision.requests);
        Some(execution.requests.pop_front().expect("a new booking reserves a slot"))
    }

    /// Since the runtime started; monotonic, for idle times only.
    fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis().try_into().expect("below 500 million years")
    }

    fn arbiter(&self, hash: u64) -> &ArbiterHandle {
        let count = self.arbiters.len() as u64;
        // The upper half: the lower bits pick the shard.
        &self.arbiters[usize::try_from((hash >> 32) % count).expect("fewer arbiters than addresses")]
    }

    /// Whether there is room for one more; a tenth above the ceiling is for bursts that the sweeper has yet to see.
    fn actor_starts(&self) -> bool {
        let active = self.active.fetch_add(1, Ordering::Relaxed) + 1;
        if active > self.settings.active_max {
            self.crowded.notify_one();
        }
        let room = active <= self.settings.active_max + self.settings.active_max / 10 + 1;
        if !room {
            self.active.fetch_sub(1, Ordering::Relaxed);
        }
        room
    }

    fn actor_ended(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("active_actors", &self.active_actors()).finish_non_exhaustive()
    }
}
