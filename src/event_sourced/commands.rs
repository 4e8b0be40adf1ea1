use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use codeccloud_actors::aggregate::Context;
use codeccloud_actors::answer::{Answer, Respond, Response};
use codeccloud_actors::command::Command;
use codeccloud_actors::envelope::{Metadata, Origin};
use codeccloud_actors::ids::{AggregateType, BookingId, CommandId, CustomerId, NodeId};
use codeccloud_actors::metrics_catalogue as names;
use codeccloud_actors::ports::{IdempotencyRecord, IdempotencyStore, Ids, SealedRow, StoredAnswer, StreamStore};
use codeccloud_actors::projections::appointment_summaries::AppointmentSummaries;
use codeccloud_actors::reference::TenantReference;
use codeccloud_actors::runtime::{Executed, ExecutionError, Published, Runtime, Submission};
use futures_util::future::BoxFuture;

use super::bookings::Bookings;
use super::in_flight::{InFlight, Place, Shared};
use crate::ports::{
    Answered, Answers, CommandError, CommandRequest, Commands, IdempotencyKey, Note, Reference, Rendering, Sessions,
};
use crate::vault::{CustomerKey, CustomerProfile, NoteKind, Sealing, Vault, VaultError};

/// Commands in scale mode: personal data is sealed, the aggregates' actors decide, and one append holds it all.
pub struct EventSourcedCommands {
    ports: CommandPorts,
    bookings: Bookings,
    in_flight: Arc<InFlight>,
}

pub struct CommandPorts {
    pub node_id: NodeId,
    pub runtime: Runtime,
    pub reference: Arc<dyn Reference>,
    pub vault: Arc<Vault>,
    pub idempotency: Arc<dyn IdempotencyStore>,
    pub streams: Arc<dyn StreamStore>,
    pub summaries: Published<AppointmentSummaries>,
    pub sessions: Arc<dyn Sessions>,
    pub answers: Arc<dyn Answers>,
    pub ids: Arc<dyn Ids>,
}

/// How often a customer is sealed for one command: other nodes may change the same customer meanwhile.
const SEALINGS_MAX: u32 = 4;

enum Unsettled {
    /// The customer was sealed on an outdated row.
    CustomerMoved,
    Failed(CommandError),
}

impl From<CommandError> for Unsettled {
    fn from(error: CommandError) -> Self {
        Unsettled::Failed(error)
    }
}

/// Whose data a command touches, and what of it its answer shows.
#[derive(Default)]
struct Person {
    customer_id: Option<CustomerId>,
    profile: Option<CustomerProfile>,
    key: Option<CustomerKey>,
    sealing: Option<Sealing>,
    rows: Vec<SealedRow>,
}

impl EventSourcedCommands {
    pub fn new(ports: CommandPorts) -> EventSourcedCommands {
        let bookings = Bookings { summaries: ports.summaries.clone(), streams: Arc::clone(&ports.streams) };
        EventSourcedCommands { ports, bookings, in_flight: Arc::default() }
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
        for _ in 0..SEALINGS_MAX {
            match self.attempt(&request).await {
                Ok(answered) => return Ok(answered),
                Err(Unsettled::CustomerMoved) => {}
                Err(Unsettled::Failed(error)) => return Err(error),
            }
        }
        Err(unavailable(&"other writers change the customer, again and again"))
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
        let mut person = self.person(request).await?;
        let sealing = person.sealing.take();
        let submission = self.submission(request, reference, person);
        let command_id = submission.command_id;
        match self.ports.runtime.execute(submission).await {
            Ok(executed) => {
                if let Some(committed) = executed.committed {
                    self.note(request, committed.transaction_id).await;
                    if let Some(sealing) = sealing.filter(|_| executed.answer.status < 400) {
                        self.ports.vault.committed(sealing);
                    }
                }
                Ok(self.unless_answered_before(executed, request).await?)
            }
            Err(error) => {
                if let Some(sealing) = sealing.filter(Sealing::has_news) {
                    // Before the next one gets its turn.
                    self.ports.vault.forget(request.tenant_id, sealing.customer_id());
                }
                self.explained(error, request, command_id).await
            }
        }
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
            command: request.command.clone(),
            respond: responding(Arc::clone(request), person),
        }
    }

    async fn explained(
        &self,
        error: ExecutionError,
        request: &CommandRequest,
        command_id: CommandId,
    ) -> Result<Answered, Unsettled> {
        match error {
            ExecutionError::CustomerMoved => Err(Unsettled::CustomerMoved),
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
            let found = self.ports.idempotency.find(request.tenant_id, &idempotency.key).await;
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

    /// Seals what the request brings of a person, and fetches what its answer shows of one.
    async fn person(&self, request: &CommandRequest) -> Result<Person, CommandError> {
        let tenant_id = request.tenant_id;
        let mut person = Person::default();
        if let Some((customer_id, profile)) = &request.personal.customer {
            let mut sealing =
                self.ports.vault.seal_customer(tenant_id, *customer_id, profile).await.map_err(vault_away)?;
            person.rows.extend(sealing.row.take().map(SealedRow::Customer));
            person.customer_id = Some(*customer_id);
            person.key = Some(sealing.key.clone());
            person.sealing = Some(sealing);
            person.profile = Some(profile.clone());
        } else if let Some(customer_id) = self.customer_of(request).await? {
            person.customer_id = Some(customer_id);
            person.key = self.ports.vault.key(tenant_id, customer_id).await.map_err(vault_away)?;
            let known = self.ports.vault.profiles(tenant_id, &[customer_id]).await.map_err(vault_away)?;
            person.profile = known.get(&customer_id).map(|known| known.profile.clone());
        }
        if let (Some(Note { booking_id, kind, text }), Some(key)) = (&request.personal.note, &person.key) {
            person.rows.push(SealedRow::Note(key.seal_note(*booking_id, *kind, text)));
        }
        Ok(person)
    }

    /// The customer of the booking that a command is about; it never changes, so it may be looked up beforehand.
    async fn customer_of(&self, request: &CommandRequest) -> Result<Option<CustomerId>, CommandError> {
        let Command::Booking(id, _) = &request.command else { return Ok(None) };
        let booking: Option<_> =
            self.bookings.find(request.tenant_id, BookingId(id.0)).await.map_err(|away| unavailable(&away))?;
        Ok(booking.and_then(|booking| booking.details.customer_id))
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

impl Commands for EventSourcedCommands {
    fn execute(&self, request: CommandRequest) -> BoxFuture<'_, Result<Answered, CommandError>> {
        Box::pin(self.once(request))
    }
}

/// Builds the answer when the command is decided, and what is stored of it.
fn responding(request: Arc<CommandRequest>, person: Person) -> Respond {
    let is_booking = matches!(request.command, Command::Booking(_, _));
    Arc::new(move |verdict| {
        let note = request.personal.note.as_ref().filter(|note| note.kind == NoteKind::CancellationReason);
        let answer = (request.render)(&Rendering {
            verdict,
            tenant_id: request.tenant_id,
            customer_id: person.customer_id,
            customer: person.profile.as_ref(),
            cancellation_reason: note.map(|note| note.text.as_str()),
        });
        let record = request.idempotency.as_ref().filter(|_| is_stored(answer.status)).map(|idempotency| {
            let key = person.key.as_ref().filter(|_| is_booking && answer.status < 400);
            IdempotencyRecord {
                key: idempotency.key.clone(),
                request_hash: idempotency.request_hash,
                status: answer.status,
                answer: key.map_or_else(|| answer.body.clone(), |key| key.seal_answer(&answer.body)),
                sealed_for: key.and(person.customer_id),
            }
        });
        Response { answer, record }
    })
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
