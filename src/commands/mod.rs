//! Commands, whichever mode the tenant is in: personal data is sealed, the mode that the tenant's stage picks decides, and
//! one transaction holds it all.

mod in_flight;
mod person;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use codeccloud_actors::aggregate::Context;
use codeccloud_actors::aggregates::staff_utilisation::StaffRefusal;
use codeccloud_actors::answer::{Answer, Respond, Verdict};
use codeccloud_actors::command::Command;
use codeccloud_actors::envelope::{Metadata, Origin};
use codeccloud_actors::ids::{AggregateType, BookingId, CommandId, CustomerId, NodeId, TenantId};
use codeccloud_actors::metrics_catalogue as names;
use codeccloud_actors::ports::{Clock, IdempotencyStore, Ids, StoreError, StoredAnswer};
use codeccloud_actors::reference::TenantReference;
use codeccloud_actors::runtime::{Executed, ExecutionError, Submission};
use codeccloud_actors::sagas::booking::{self, BookingCommand};
use codeccloud_actors::stage::Stage;
use codeccloud_actors::time::Timestamp;
use futures_util::future::BoxFuture;

use self::in_flight::{InFlight, Place, Shared};
use self::person::Person;
use crate::ports::{Answered, Answers, CommandError, CommandRequest, Commands, IdempotencyKey, Reference, Sessions};
use crate::vault::{Vault, VaultError};

/// One of the two ways to keep aggregates: by actors and events, or by rows.
pub trait Mode: Send + Sync + 'static {
    /// Decides and commits. A refusal is an `Ok` with the answer for it. Dropping the future doesn't cancel a commit.
    fn execute(&self, submission: Submission) -> BoxFuture<'_, Result<Executed, ExecutionError>>;

    /// The customer of a booking, which never changes; `None` also for a booking that isn't there.
    fn customer_of(
        &self,
        tenant_id: TenantId,
        booking_id: BookingId,
    ) -> BoxFuture<'_, Result<Option<CustomerId>, StoreError>>;
}

/// Rows of appointments lie in a partition for each month.
pub trait Months: Send + Sync + 'static {
    /// Makes the month's partition where it is missing.
    fn ensure(&self, at: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}

pub struct StagedCommands {
    ports: CommandPorts,
    in_flight: Arc<InFlight>,
}

pub struct CommandPorts {
    pub node_id: NodeId,
    pub event_sourced: Arc<dyn Mode>,
    pub transactional: Arc<dyn Mode>,
    pub months: Arc<dyn Months>,
    pub reference: Arc<dyn Reference>,
    pub vault: Arc<Vault>,
    pub idempotency: Arc<dyn IdempotencyStore>,
    pub sessions: Arc<dyn Sessions>,
    pub answers: Arc<dyn Answers>,
    /// Told of each command that was carried out: its rows have left something in the outbox.
    pub committed: Box<dyn Fn() + Send + Sync>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

/// How often one command is tried when something that it was prepared on has changed meanwhile: other nodes may change the
/// same customer, or the tenant's stage.
const ATTEMPTS_MAX: u32 = 4;

enum Unsettled {
    /// The customer was sealed on an outdated row.
    CustomerMoved,
    /// The other mode has the tenant now.
    StageEnded,
    Failed(CommandError),
}

impl From<CommandError> for Unsettled {
    fn from(error: CommandError) -> Self {
        Unsettled::Failed(error)
    }
}

impl StagedCommands {
    pub fn new(ports: CommandPorts) -> StagedCommands {
        StagedCommands { ports, in_flight: Arc::default() }
    }

    /// One at a time per idempotency key on this node; across nodes the key's row decides.
    async fn once(&self, request: CommandRequest) -> Result<Answered, CommandError> {
        let Some(idempotency) = request.idempotency.clone() else { return self.perform(request).await };
        let key = (request.tenant_id, idempotency.key.clone());
        let deadline = request.deadline;
        loop {
            let place = tokio::time::timeout_at(deadline.into(), self.in_flight.enter(key.clone())).await;
            match place.map_err(|_| CommandError::Timeout)? {
                Place::Leader(leader) => {
                    let outcome = self.perform(request).await;
                    leader.finish(Shared { request_hash: idempotency.request_hash, outcome: outcome.clone() });
                    return outcome;
                }
                Place::Follower(None) => {}
                Place::Follower(Some(shared)) if shared.request_hash != idempotency.request_hash => {
                    return Err(CommandError::IdempotencyConflict);
                }
                Place::Follower(Some(shared)) => {
                    let answered = shared.outcome?;
                    return Ok(Answered { replayed: true, ..answered });
                }
            }
        }
    }

    async fn perform(&self, request: CommandRequest) -> Result<Answered, CommandError> {
        let started = Instant::now();
        let aggregate_type = request.command.aggregate_type();
        let answered = self.decide(request).await;
        let outcome = match &answered {
            Ok(answered) if answered.replayed => "replayed",
            Ok(answered) if answered.answer.status < 400 => "accepted",
            Ok(_) => "refused",
            Err(CommandError::IdempotencyConflict) => "key_conflict",
            Err(CommandError::Unavailable { .. }) => "unavailable",
            Err(CommandError::Timeout) => "timeout",
            Err(CommandError::ChangedElsewhere) => "changed_elsewhere",
            Err(CommandError::Forbidden) => "forbidden",
            Err(CommandError::Internal(_)) => "failed",
        };
        count(aggregate_type, outcome, started);
        answered
    }

    async fn decide(&self, request: CommandRequest) -> Result<Answered, CommandError> {
        if let Some(answered) = self.recalled(&request).await? {
            return Ok(answered);
        }
        let request = Arc::new(request);
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt(&request).await {
                Ok(answered) => return Ok(answered),
                Err(Unsettled::CustomerMoved) => {}
                Err(Unsettled::StageEnded) => self.ports.reference.refresh(request.tenant_id).await,
                Err(Unsettled::Failed(error)) => return Err(error),
            }
        }
        Err(unavailable(&"others change what it is about, again and again"))
    }

    /// A retry of what some server has answered of late.
    async fn recalled(&self, request: &CommandRequest) -> Result<Option<Answered>, CommandError> {
        let Some(IdempotencyKey { key, request_hash }) = &request.idempotency else { return Ok(None) };
        match self.ports.answers.recall(request.tenant_id, key, *request_hash).await {
            Some(stored) => self.replay(stored, request).await.map(Some),
            None => Ok(None),
        }
    }

    async fn note(&self, request: &CommandRequest, transaction_id: u64) {
        self.ports.sessions.wrote(request.tenant_id, request.caller.user_id, transaction_id).await;
    }

    async fn attempt(&self, request: &Arc<CommandRequest>) -> Result<Answered, Unsettled> {
        let reference = self.ports.reference.tenant(request.tenant_id);
        let reference =
            reference.ok_or_else(|| CommandError::Internal("the tenant has no reference data".to_owned()))?;
        let mode =
            if reference.stage.is_event_sourced() { &self.ports.event_sourced } else { &self.ports.transactional };
        let of_booking = match &request.command {
            Command::Booking(id, command) if !is_creation(command) => {
                mode.customer_of(request.tenant_id, *id).await.map_err(|away| unavailable(&away))?
            }
            Command::Booking(..)
            | Command::StaffUtilisation(..)
            | Command::LoyaltyBalance(..)
            | Command::StockItem(..) => None,
        };
        self.make_room(&request.command, &reference).await?;
        let mut person = Person::of(request, of_booking, &self.ports.vault).await?;
        let sealing = person.sealing.take();
        let submission = self.submission(request, reference, person);
        let (command_id, respond) = (submission.command_id, Arc::clone(&submission.respond));
        match mode.execute(submission).await {
            Ok(executed) => {
                if let Some(committed) = executed.committed {
                    self.note(request, committed.transaction_id).await;
                    if executed.answer.status < 400 {
                        (self.ports.committed)();
                    }
                    if let Some(sealing) = sealing.filter(|_| executed.answer.status < 400) {
                        self.ports.vault.committed(sealing);
                    }
                }
                Ok(self.unless_answered_before(executed, request).await?)
            }
            Err(error) => {
                let is_outdated = matches!(error, ExecutionError::CustomerMoved);
                if let Some(sealing) = sealing.filter(|sealing| is_outdated || sealing.has_news()) {
                    // Before the next one gets its turn.
                    self.ports.vault.forget(request.tenant_id, sealing.customer_id());
                }
                self.explained(error, request, command_id, &respond).await
            }
        }
    }

    /// Sees to it that there is a partition for the row that the command leads to, unless it is refused in any case: nobody
    /// is to have partitions made for what can't be booked.
    async fn make_room(&self, command: &Command, reference: &TenantReference) -> Result<(), CommandError> {
        let (Command::Booking(_, BookingCommand::Create { slot, .. } | BookingCommand::Reschedule { slot, .. }), true) =
            (command, reference.stage != Stage::Retired)
        else {
            return Ok(());
        };
        if booking::check_slot(*slot, reference, self.ports.clock.now()).is_err() {
            return Ok(());
        }
        self.ports.months.ensure(slot.start).await.map_err(|away| unavailable(&away))
    }

    fn submission(
        &self,
        request: &Arc<CommandRequest>,
        reference: Arc<TenantReference>,
        mut person: Person,
    ) -> Submission {
        let command_id = CommandId(self.ports.ids.uuid());
        Submission {
            tenant_id: request.tenant_id,
            context: Context { reference, caller: request.caller },
            command_id,
            key: request.idempotency.as_ref().map(|idempotency| idempotency.key.clone()),
            metadata: self.metadata(request, command_id),
            sealed: std::mem::take(&mut person.rows),
            precondition: request.precondition,
            deadline: request.deadline,
            command: person.command(&request.command),
            respond: person.responding(Arc::clone(request)),
        }
    }

    async fn explained(
        &self,
        error: ExecutionError,
        request: &CommandRequest,
        command_id: CommandId,
        respond: &Respond,
    ) -> Result<Answered, Unsettled> {
        match error {
            ExecutionError::CustomerMoved => Err(Unsettled::CustomerMoved),
            ExecutionError::StageEnded => Err(Unsettled::StageEnded),
            // Not stored: whoever holds the slot may let go of it.
            ExecutionError::RowInTheWay => {
                let answer = respond(&Verdict::Refused(&StaffRefusal::SlotTaken.into())).answer;
                Ok(Answered { answer, replayed: false })
            }
            ExecutionError::RowChanged => Err(CommandError::ChangedElsewhere.into()),
            ExecutionError::Forbidden => Err(CommandError::Forbidden.into()),
            ExecutionError::Duplicate(stored) => {
                let ours = stored.command_id == command_id;
                let answered = self.replay(stored, request).await?;
                // Committed by an attempt of this very request whose answer got lost.
                Ok(Answered { replayed: !ours, ..answered })
            }
            ExecutionError::Unavailable { reason, retry_after } => {
                let retry_after_seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1);
                Err(CommandError::Unavailable { reason, retry_after_seconds }.into())
            }
            ExecutionError::Timeout => Err(CommandError::Timeout.into()),
            error @ (ExecutionError::Conflict | ExecutionError::Unknown(_)) => Err(unavailable(&error).into()),
            ExecutionError::Internal(reason) => Err(CommandError::Internal(reason).into()),
        }
    }

    /// What was not written down may have been answered otherwise before: a service that was there then, for example.
    async fn unless_answered_before(
        &self,
        executed: Executed,
        request: &CommandRequest,
    ) -> Result<Answered, CommandError> {
        if let (false, Some(idempotency)) = (is_stored(executed.answer.status), &request.idempotency) {
            let found = self.ports.idempotency.committed(request.tenant_id, &idempotency.key).await;
            if let Some(stored) = found.map_err(|away| unavailable(&away))? {
                return self.replay(stored, request).await;
            }
        }
        Ok(Answered { answer: executed.answer, replayed: false })
    }

    async fn replay(&self, stored: StoredAnswer, request: &CommandRequest) -> Result<Answered, CommandError> {
        let tenant_id = request.tenant_id;
        if request.idempotency.as_ref().is_some_and(|ours| ours.request_hash != stored.request_hash) {
            return Err(CommandError::IdempotencyConflict);
        }
        self.note(request, stored.transaction_id).await;
        let body = match stored.sealed_for {
            None => stored.answer,
            Some(customer_id) => {
                let opened = self.ports.vault.open_answer(tenant_id, customer_id, &stored.answer).await;
                // The customer was erased since, and with the key the answer: that it happened is all that is left.
                opened.map_err(vault_away)?.map_or_else(|| Bytes::from_static(b"{}"), Bytes::from)
            }
        };
        Ok(Answered { answer: Answer { status: stored.status, body, version: None }, replayed: true })
    }

    fn metadata(&self, request: &CommandRequest, command_id: CommandId) -> Bytes {
        let metadata = Metadata {
            origin: Origin::Actor,
            command_id,
            node_id: self.ports.node_id,
            actor: Some(request.caller.user_id),
            source: request.meta.source.to_owned(),
            ip: request.meta.ip,
            request_id: Some(request.meta.request_id.clone()),
            correlation_id: None,
            causation_id: None,
            traceparent: request.meta.traceparent.clone(),
        };
        serde_json::to_vec(&metadata).expect("metadata holds nothing that JSON can't").into()
    }
}

impl Commands for StagedCommands {
    fn execute(&self, request: CommandRequest) -> BoxFuture<'_, Result<Answered, CommandError>> {
        Box::pin(self.once(request))
    }
}

fn is_creation(command: &BookingCommand) -> bool {
    matches!(command, BookingCommand::Create { .. })
}

/// Decided answers are stored; what a retry may change for the better is not.
fn is_stored(status: u16) -> bool {
    matches!(status, 200..=299 | 409 | 422)
}

fn count(aggregate_type: AggregateType, outcome: &'static str, started: Instant) {
    let aggregate_type = aggregate_type.as_str();
    metrics::counter!(names::COMMANDS.name, "aggregate_type" => aggregate_type, "outcome" => outcome).increment(1);
    metrics::histogram!(names::COMMAND_DURATION.name, "aggregate_type" => aggregate_type)
        .record(started.elapsed().as_secs_f64());
}

fn unavailable(reason: &impl ToString) -> CommandError {
    CommandError::Unavailable { reason: reason.to_string(), retry_after_seconds: 1 }
}

fn vault_away(error: VaultError) -> CommandError {
    match error {
        VaultError::Unreachable(reason) => unavailable(&reason),
        VaultError::UnknownMasterKey(_) | VaultError::Unreadable(_) => CommandError::Internal(error.to_string()),
    }
}
