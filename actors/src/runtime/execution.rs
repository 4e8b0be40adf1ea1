//! One command on its way: through the aggregates that it concerns, into one append, and back to its caller.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::Span;

use crate::aggregate::{Context, Decision};
use crate::answer::{Answer, Respond, Response, Verdict};
use crate::command::Command;
use crate::event::EventBody;
use crate::ids::{CommandId, EventId, StreamId, TenantId, Version};
use crate::ports::{
    Append, AppendError, Committed, Head, Ids, NewEvent, SagaRow, SealedRow, StoredAnswer, StreamAppend,
};
use crate::refusal::Refusal;
use crate::rows::{Decided, RowChange};
use crate::time::Timestamp;

use super::mailboxes::Waiting;
use super::routes::Routed;

/// A command as the runtime is given it. Cloned for each attempt.
#[derive(Clone)]
pub struct Submission {
    pub tenant_id: TenantId,
    pub command: Command,
    /// The version that the caller has seen.
    pub precondition: Option<Version>,
    pub context: Context,
    pub command_id: CommandId,
    /// Under this key the command's answer is found again. Without one, a commit whose outcome is unknown stays so.
    pub key: Option<String>,
    /// The events' metadata, as JSON.
    pub metadata: Bytes,
    pub sealed: Vec<SealedRow>,
    pub respond: Respond,
    pub deadline: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    pub answer: Answer,
    /// `None` when nothing had to be written.
    pub committed: Option<Committed>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// Nothing was written; decide again on the new state.
    #[error("another writer was first")]
    Conflict,
    /// Nothing was written; seal the customer again.
    #[error("another writer has changed the customer")]
    CustomerMoved,
    /// It may have been written: look it up before deciding again.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// Nothing was written; the command belongs to the other mode.
    #[error("the tenant's stage has changed")]
    StageEnded,
    /// Nothing was written: the database's policies don't let the caller.
    #[error("the caller may not do this")]
    Forbidden,
    /// Nothing was written; other software holds what was asked for.
    #[error("a row is in the way")]
    RowInTheWay,
    /// Nothing was written; other software has changed what the events are about.
    #[error("other software has changed it")]
    RowChanged,
    #[error("the command was answered before")]
    Duplicate(StoredAnswer),
    /// Nothing was written; later it may work.
    #[error("{reason}")]
    Unavailable { reason: String, retry_after: Duration },
    /// It may still be written; the same key finds the answer.
    #[error("the deadline passed")]
    Timeout,
    #[error("{0}")]
    Internal(String),
}

impl ExecutionError {
    /// Whether the aggregates that had a part in the command may have another state than the store: not when nothing was
    /// written, since an aggregate that asks another one takes its new state over with the commit only.
    pub(super) fn outdates(&self) -> bool {
        match self {
            ExecutionError::Conflict | ExecutionError::Unknown(_) | ExecutionError::Duplicate(_) => true,
            ExecutionError::CustomerMoved
            | ExecutionError::StageEnded
            | ExecutionError::RowInTheWay
            | ExecutionError::RowChanged
            | ExecutionError::Forbidden
            | ExecutionError::Unavailable { .. }
            | ExecutionError::Timeout
            | ExecutionError::Internal(_) => false,
        }
    }

    pub fn unavailable(reason: impl Into<String>) -> ExecutionError {
        ExecutionError::Unavailable { reason: reason.into(), retry_after: Duration::from_secs(1) }
    }
}

impl From<AppendError> for ExecutionError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => ExecutionError::Conflict,
            AppendError::CustomerMoved => ExecutionError::CustomerMoved,
            AppendError::StageEnded => ExecutionError::StageEnded,
            AppendError::RowInTheWay => ExecutionError::RowInTheWay,
            AppendError::RowChanged => ExecutionError::RowChanged,
            AppendError::Duplicate(stored) => ExecutionError::Duplicate(stored),
            AppendError::Rejected(reason) => ExecutionError::Internal(reason),
            AppendError::QueueFull => ExecutionError::unavailable(error.to_string()),
            AppendError::Unavailable(reason) => ExecutionError::unavailable(reason),
            AppendError::Unknown(reason) => ExecutionError::Unknown(reason),
        }
    }
}

pub(super) type Outcome = Result<Executed, Failure>;
pub(super) type Reply = oneshot::Sender<Outcome>;

/// What goes back through the chain of actors. Each holds a part of the append and has to know whether it was committed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Refused, answered and durable: the actors' states are as before.
    Refused(Executed),
    Error(ExecutionError),
}

/// A command with what has been decided so far.
pub(super) struct Execution {
    pub tenant_id: TenantId,
    pub context: Context,
    pub command_id: CommandId,
    pub metadata: Bytes,
    pub sealed: Vec<SealedRow>,
    pub respond: Respond,
    pub deadline: Instant,
    pub precondition: Option<Version>,
    /// The parts decided so far, each held by an actor that waits.
    pub parts: Vec<StreamAppend>,
    pub sagas: Vec<SagaRow>,
    pub rows: Vec<RowChange>,
    /// Set by the first aggregate that decided.
    pub response: Option<Response>,
    /// What is still to be asked, in this order.
    pub requests: VecDeque<Command>,
    pub reply: Reply,
    /// Of the actor that it was last sent to; disabled where nobody wants traces.
    pub span: Span,
    /// Until that actor takes it.
    pub waiting: Option<Waiting>,
}

impl Execution {
    pub fn begin(submission: Submission, reply: Reply) -> (Command, Execution) {
        let execution = Execution {
            tenant_id: submission.tenant_id,
            context: submission.context,
            command_id: submission.command_id,
            metadata: submission.metadata,
            sealed: submission.sealed,
            respond: submission.respond,
            deadline: submission.deadline,
            precondition: submission.precondition,
            parts: Vec::with_capacity(3),
            sagas: Vec::new(),
            rows: Vec::new(),
            response: None,
            requests: VecDeque::new(),
            reply,
            span: Span::none(),
            waiting: None,
        };
        (submission.command, execution)
    }

    pub fn fail(self, error: ExecutionError) {
        // A caller that has gone away doesn't need to know.
        let _ = self.reply.send(Err(Failure::Error(error)));
    }

    /// What was decided so far is dropped, so nothing was written.
    pub fn fail_after_panic(self, stream: StreamId) {
        tracing::error!(%stream, command_id = %self.command_id, "a command made its aggregate panic");
        self.fail(ExecutionError::Internal("the aggregate panicked".to_owned()));
    }

    /// The append of an accepted command.
    pub fn append(&mut self) -> Append {
        Append {
            tenant_id: self.tenant_id,
            command_id: self.command_id,
            metadata: self.metadata.clone(),
            streams: std::mem::take(&mut self.parts),
            idempotency: self.response.as_mut().and_then(|response| response.record.take()),
            sagas: std::mem::take(&mut self.sagas),
            sealed: std::mem::take(&mut self.sealed),
            rows: std::mem::take(&mut self.rows),
        }
    }

    /// Turns the execution into a refusal: the answer, and an append that writes it down if every state that was looked at
    /// is durable and still the newest.
    pub fn refuse(&mut self, refusal: &Refusal) {
        self.response = Some((self.respond)(&Verdict::Refused(refusal)));
        self.sagas.clear();
        self.sealed.clear();
        self.rows.clear();
        for part in &mut self.parts {
            part.events.clear();
        }
    }

    /// Takes in what an aggregate decided: its response and its saga row; returns its part of the append.
    pub fn decided<A: Routed>(
        &mut self,
        ids: &dyn Ids,
        stream: StreamId,
        state: &A,
        before: Head,
        decision: &Decision<A::Event>,
        now: Timestamp,
    ) -> StreamAppend {
        let events: Vec<NewEvent> = decision
            .events
            .iter()
            .map(|event| NewEvent {
                event_id: EventId(ids.uuid()),
                event_type: event.event_type(),
                schema_version: event.schema_version(),
                payload: event.payload(),
                occurred_at: now,
            })
            .collect();
        let part = StreamAppend { stream, expected: before, events };
        let version = part.head().version;
        if self.response.is_none() {
            let decided: Vec<_> = decision.events.iter().cloned().map(EventBody::into_event).collect();
            let event_id = part.events.first().map_or_else(|| EventId(ids.uuid()), |event| event.event_id);
            let verdict = Verdict::Accepted { state: state.view(), version, event_id, events: &decided };
            self.response = Some((self.respond)(&verdict));
        }
        if let (Some(saga), false) = (state.saga_state(), part.events.is_empty()) {
            self.sagas.push(SagaRow {
                saga_type: A::TYPE.as_str(),
                saga_id: stream.aggregate_id,
                version,
                status: saga.status,
                state: saga.state,
            });
        }
        self.add_rows(stream, state, &part, decision);
        part
    }

    fn add_rows<A: Routed>(&mut self, stream: StreamId, state: &A, part: &StreamAppend, decision: &Decision<A::Event>) {
        let Some(first) = part.events.first().filter(|_| self.context.reference.stage.is_dual_write()) else { return };
        let events: Vec<_> =
            part.events.iter().map(|event| event.event_id).zip(decision.events.iter().cloned()).collect();
        self.rows.extend(state.row_changes(&Decided {
            aggregate_id: stream.aggregate_id,
            before: part.expected.version,
            events: &events,
            occurred_at: first.occurred_at,
            actor: Some(self.context.caller.user_id),
        }));
    }
}
