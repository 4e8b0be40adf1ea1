//! The actor that owns one aggregate: decides against the state in memory, and goes on while the commit is under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;

use crate::aggregate::{Aggregate, Decision};
use crate::ids::{StreamId, Version};
use crate::metrics_catalogue as names;
use crate::ports::{Head, Snapshot, StreamAppend};
use crate::refusal::Refusal;
use crate::time::Timestamp;

use super::Shared;
use super::execution::{Execution, ExecutionError, Failure, Outcome};
use super::flight::{Departure, Flight};
use super::recovery::{Recovered, recover};
use super::routes::Routed;
use super::supervision::{Backoff, contained};

/// How long beyond the command's deadline an actor waits for the one that it has asked: the commit that is waited for may
/// be under way. Then it goes on, and finds out by a conflict what became of it.
const ASK_GRACE: Duration = Duration::from_secs(1);

pub(super) struct AggregateActor<A: Routed> {
    stream: StreamId,
    shared: Arc<Shared>,
    state: A,
    /// Of `state`, which runs ahead of the store by what is in flight.
    head: Head,
    snapshot_version: Version,
    flight: Arc<Flight>,
    health: Health,
    /// Without a command between them that was decided.
    panics: Backoff,
}

enum Health {
    Ready,
    /// The state could not be loaded, or makes commands panic; it is loaded anew with the first command after the pause.
    Broken(Backoff),
}

/// A command for this actor's aggregate.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Task<A: Routed> {
    pub command: A::Command,
    pub execution: Box<Execution>,
}

/// An append of this flight failed: the state is ahead of a store that will never follow.
#[derive(Message)]
#[rtype(result = "()")]
struct AppendFailed(Arc<Flight>);

/// Another node wrote this version.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ForeignEvent(pub Version);

/// The router lets go of the actor; it ends by itself when its mailbox is empty.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Passivate;

impl<A: Routed> AggregateActor<A> {
    pub fn new(stream: StreamId, shared: Arc<Shared>) -> Self {
        AggregateActor {
            stream,
            shared,
            state: A::default(),
            head: Head::NONE,
            snapshot_version: Version::NONE,
            flight: Flight::since(Timestamp::default()),
            health: Health::Ready,
            panics: Backoff::default(),
        }
    }

    fn reload(&mut self, ctx: &mut Context<Self>) {
        let mut backoff = match &self.health {
            Health::Ready => Backoff::default(),
            Health::Broken(backoff) => *backoff,
        };
        self.flight = Flight::since(Timestamp::default());
        let shared = Arc::clone(&self.shared);
        let stream = self.stream;
        let loading = wrap_future(async move { recover::<A>(stream, &shared).await });
        ctx.wait(loading.map(move |recovered, actor: &mut Self, _| match recovered {
            Ok(recovered) => actor.adopt(recovered),
            Err(error) => {
                tracing::error!(stream = %actor.stream, %error, "an aggregate could not be loaded");
                backoff.failed(&actor.shared.settings);
                actor.health = Health::Broken(backoff);
            }
        }));
    }

    fn adopt(&mut self, recovered: Recovered<A>) {
        self.state = recovered.state;
        self.head = recovered.head;
        self.snapshot_version = recovered.snapshot_version;
        self.flight = Flight::since(recovered.recorded_at);
        self.health = Health::Ready;
    }

    /// Drops the state after a panic or a failed append.
    fn restart(&mut self, ctx: &mut Context<Self>) {
        metrics::counter!(names::ACTOR_RESTARTS.name, "aggregate_type" => A::TYPE.as_str()).increment(1);
        self.reload(ctx);
    }

    fn take(&mut self, task: Task<A>, ctx: &mut Context<Self>) {
        match &self.health {
            Health::Ready => self.perform(&task.command, task.execution, ctx),
            Health::Broken(backoff) => match backoff.remaining() {
                Some(retry_after) => task
                    .execution
                    .fail(ExecutionError::Unavailable { reason: format!("{} is restarting", A::TYPE), retry_after }),
                None => {
                    self.reload(ctx);
                    // Handled again after the reload, behind what has come in meanwhile.
                    if let Err(actix::prelude::SendError::Full(task) | actix::prelude::SendError::Closed(task)) =
                        ctx.address().try_send(task)
                    {
                        task.execution.fail(ExecutionError::unavailable("the mailbox is full"));
                    }
                }
            },
        }
    }

    fn perform(&mut self, command: &A::Command, mut execution: Box<Execution>, ctx: &mut Context<Self>) {
        execution.waiting = None;
        if execution.deadline <= Instant::now() {
            return execution.fail(ExecutionError::Timeout);
        }
        let now = self.shared.clock.now();
        // Only the aggregate that the command was sent to is meant by a precondition.
        let precondition = execution.precondition.take();
        let Some(decided) = contained(|| self.state.decide(command, &execution.context, now)) else {
            return self.give_up(execution, ctx);
        };
        match (decided, precondition) {
            // Comes before the precondition: whose booking it is not learns nothing about its version.
            (Err(refusal @ Refusal::NotFound(_)), _) => self.refuse(&refusal, execution, ctx),
            (_, Some(expected)) if expected != self.head.version => {
                self.refuse(&Refusal::VersionMismatch { expected, current: self.head.version }, execution, ctx);
            }
            (Err(refusal), _) => self.refuse(&refusal, execution, ctx),
            (Ok(decision), _) => self.accept(decision, execution, now, ctx),
        }
    }

    /// After a panic: the first may be owed to the state, which is loaded anew; after the next ones that has to wait.
    fn give_up(&mut self, execution: Box<Execution>, ctx: &mut Context<Self>) {
        execution.fail_after_panic(self.stream);
        let is_first = self.panics == Backoff::default();
        self.panics.failed(&self.shared.settings);
        if is_first {
            return self.restart(ctx);
        }
        self.flight = Flight::since(Timestamp::default());
        self.health = Health::Broken(self.panics);
    }

    fn accept(
        &mut self,
        decision: Decision<A::Event>,
        mut execution: Box<Execution>,
        now: Timestamp,
        ctx: &mut Context<Self>,
    ) {
        let mut state = self.state.clone();
        let part = contained(|| {
            decision.events.iter().for_each(|event| state.evolve(event, now));
            execution.decided(&*self.shared.ids, self.stream, &state, self.head, &decision, now)
        });
        let Some(part) = part else { return self.give_up(execution, ctx) };
        let head = part.head();
        execution.parts.push(part);
        execution.requests.extend(decision.requests);
        match execution.requests.pop_front() {
            Some(request) => self.ask(request, execution, state, head, ctx),
            None => self.submit(execution, state, head, ctx),
        }
    }

    /// Hands the command on with this aggregate's part, and does nothing else until it is known what became of it.
    fn ask(
        &mut self,
        request: crate::command::Command,
        mut execution: Box<Execution>,
        state: A,
        head: Head,
        ctx: &mut Context<Self>,
    ) {
        let (reply, outcome) = oneshot::channel();
        let caller = std::mem::replace(&mut execution.reply, reply);
        let patience = execution.deadline + ASK_GRACE;
        self.shared.dispatch(request, execution);
        let asking = async move {
            let unknown = |reason: &str| Err(Failure::Error(ExecutionError::Unknown(reason.to_owned())));
            match tokio::time::timeout_at(patience.into(), outcome).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => unknown("an actor was dropped"),
                Err(_) => unknown("an aggregate that was asked does not answer"),
            }
        };
        ctx.wait(wrap_future(asking).map(move |outcome: Outcome, actor: &mut Self, ctx| {
            match &outcome {
                Ok(executed) => actor.committed_elsewhere(state, head, executed.committed),
                Err(Failure::Error(error)) if error.outdates() => actor.restart(ctx),
                Err(Failure::Refused(_) | Failure::Error(_)) => {}
            }
            let _ = caller.send(outcome);
        }));
    }

    fn committed_elsewhere(&mut self, state: A, head: Head, committed: Option<crate::ports::Committed>) {
        self.panics = Backoff::default();
        self.state = state;
        self.head = head;
        if let Some(committed) = committed {
            self.flight.landed(committed.recorded_at);
        }
        self.snapshot_when_due();
    }

    /// The last aggregate to decide: what it and those before it decided goes into one append.
    fn submit(&mut self, execution: Box<Execution>, state: A, head: Head, ctx: &mut Context<Self>) {
        let due = head.version.0 - self.snapshot_version.0 >= self.shared.settings.snapshot_every;
        let mut departure = Departure::accepted(*execution);
        departure.snapshot = due.then(|| snapshot(self.stream, &state, head.version, Timestamp::default()));
        if self.send(departure, ctx) {
            self.state = state;
            self.head = head;
            if due {
                self.snapshot_version = head.version;
            }
        }
    }

    fn refuse(&mut self, refusal: &Refusal, mut execution: Box<Execution>, ctx: &mut Context<Self>) {
        execution.parts.push(StreamAppend { stream: self.stream, expected: self.head, events: Vec::new() });
        if contained(|| execution.refuse(refusal)).is_none() {
            return self.give_up(execution, ctx);
        }
        // Also where there is nothing to store: another node may have moved the stream, and then it is decided again.
        self.send(Departure::refused(*execution), ctx);
    }

    fn send(&mut self, departure: Departure, ctx: &mut Context<Self>) -> bool {
        self.panics = Backoff::default();
        let (address, flight) = (ctx.address(), Arc::clone(&self.flight));
        // The actor hears of it before the caller does, so that a retry finds it reloading. `do_send` passes the mailbox's
        // bound, which is right here: there are never more of these than appends in flight.
        let failed = move || address.do_send(AppendFailed(flight));
        self.flight.submit(&self.shared, departure, failed)
    }

    fn snapshot_when_due(&mut self) {
        if self.head.version.0 - self.snapshot_version.0 >= self.shared.settings.snapshot_every {
            self.snapshot_durable();
        }
    }

    /// The state of an aggregate that could not be reloaded may be ahead of the store for good.
    fn snapshot_durable(&mut self) {
        let is_durable = matches!(self.health, Health::Ready) && self.flight.is_durable();
        if is_durable && self.head.version > self.snapshot_version {
            self.snapshot_version = self.head.version;
            let recorded_at = self.flight.recorded_at();
            self.shared.snapshots.save(snapshot(self.stream, &self.state, self.head.version, recorded_at));
        }
    }
}

impl<A: Routed> Actor for AggregateActor<A> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        metrics::gauge!(names::ACTORS_ACTIVE.name, "aggregate_type" => A::TYPE.as_str()).increment(1.0);
        self.reload(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        metrics::gauge!(names::ACTORS_ACTIVE.name, "aggregate_type" => A::TYPE.as_str()).decrement(1.0);
        self.shared.actor_ended();
    }
}

impl<A: Routed> Handler<Task<A>> for AggregateActor<A> {
    type Result = ();

    fn handle(&mut self, task: Task<A>, ctx: &mut Self::Context) {
        let span = task.execution.span.clone();
        span.in_scope(|| self.take(task, ctx));
    }
}

impl<A: Routed> Handler<AppendFailed> for AggregateActor<A> {
    type Result = ();

    fn handle(&mut self, failed: AppendFailed, ctx: &mut Self::Context) {
        if Arc::ptr_eq(&failed.0, &self.flight) {
            self.restart(ctx);
        }
    }
}

impl<A: Routed> Handler<ForeignEvent> for AggregateActor<A> {
    type Result = ();

    fn handle(&mut self, foreign: ForeignEvent, ctx: &mut Self::Context) {
        match self.health {
            // What is in flight at this version or above fails by itself, and reloads then.
            Health::Ready if foreign.0 > self.head.version => self.reload(ctx),
            // The first command after the pause loads it, with everything that has come in till then.
            Health::Ready | Health::Broken(_) => {}
        }
    }
}

impl<A: Routed> Handler<Passivate> for AggregateActor<A> {
    type Result = ();

    fn handle(&mut self, _: Passivate, _: &mut Self::Context) {
        self.snapshot_durable();
    }
}

fn snapshot<A: Aggregate>(stream: StreamId, state: &A, version: Version, recorded_at: Timestamp) -> Snapshot {
    let state = rmp_serde::to_vec(state).expect("states hold nothing that MessagePack can't");
    Snapshot { stream, version, recorded_at, format: A::STATE_FORMAT, state: state.into() }
}
