use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::aggregates::staff_utilisation::StaffCommand;
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{BookingId, CustomerId, TenantId};
use codeccloud_actors::ports::{Clock, Committed, IdempotencyRecord, IdempotencyStore, Ids, StoreError};
use codeccloud_actors::rows::RowChange;
use codeccloud_actors::runtime::{Executed, ExecutionError, Submission};
use codeccloud_actors::sagas::booking::BookingCommand;
use futures_util::future::{BoxFuture, join};
use tokio::runtime::Handle;

use super::callers::CallerPools;
use super::deciding::{Deciding, Loaded};
use super::places::{Place, Places};
use super::refused::Refused;
use super::transaction::{CommandTransaction, Settlement};
use crate::commands::Mode;
use crate::ports::Answers;
use crate::postgres::ConnectionPool;
use crate::postgres::pooled::PooledClient;

/// Deadlocks with other software's transactions, and whatever else goes away by itself.
const RETRIES_MAX: u32 = 5;

pub struct TransactionalPorts {
    pub callers: CallerPools,
    pub readers: ConnectionPool,
    pub idempotency: Arc<dyn IdempotencyStore>,
    pub answers: Arc<dyn Answers>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    /// Where transactions run, so that a caller who goes away breaks none off.
    pub io: Handle,
}

/// Commands in MVP mode.
pub struct TransactionalCommands(Arc<Rows>);

struct Rows {
    ports: TransactionalPorts,
    places: Places,
}

impl TransactionalCommands {
    pub fn new(ports: TransactionalPorts) -> TransactionalCommands {
        let places = Places::new(ports.readers.clone());
        TransactionalCommands(Arc::new(Rows { ports, places }))
    }
}

impl Mode for TransactionalCommands {
    fn execute(&self, submission: Submission) -> BoxFuture<'_, Result<Executed, ExecutionError>> {
        let rows = Arc::clone(&self.0);
        let running = self.0.ports.io.spawn(async move { rows.execute(submission).await });
        Box::pin(async move {
            running.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a command's transaction ended early");
                Err(ExecutionError::Internal("the command panicked".to_owned()))
            })
        })
    }

    fn customer_of(
        &self,
        tenant_id: TenantId,
        booking_id: BookingId,
    ) -> BoxFuture<'_, Result<Option<CustomerId>, StoreError>> {
        Box::pin(async move {
            let place = self.0.places.seen(tenant_id, booking_id).await?;
            Ok(place.and_then(|place| place.customer_id))
        })
    }
}

impl Rows {
    async fn execute(&self, submission: Submission) -> Result<Executed, ExecutionError> {
        let deadline = submission.deadline.into();
        tokio::time::timeout_at(deadline, self.retrying(&submission)).await.unwrap_or(Err(ExecutionError::Timeout))
    }

    async fn retrying(&self, submission: &Submission) -> Result<Executed, ExecutionError> {
        let mut in_the_way = false;
        for attempt in 0..=RETRIES_MAX {
            match self.attempt(submission, attempt > 0).await {
                Ok(executed) => return Ok(executed),
                Err(Refused::Taken(reason)) if attempt == RETRIES_MAX => {
                    tracing::warn!(reason, "a rule of the database refused a command");
                    return Err(ExecutionError::RowChanged);
                }
                Err(Refused::Again(reason) | Refused::Taken(reason)) => {
                    tracing::debug!(reason, attempt, "a command is decided again");
                }
                Err(Refused::RowInTheWay) if !in_the_way => in_the_way = true,
                Err(Refused::RowInTheWay) => return Err(ExecutionError::RowInTheWay),
                Err(Refused::KeyTaken) => {
                    let freed = || ExecutionError::unavailable("the idempotency key was taken and is free again");
                    let Some(key) = &submission.key else { return Err(freed()) };
                    let stored = self.ports.idempotency.committed(submission.tenant_id, key).await;
                    return Err(stored.map_err(unreachable)?.map_or_else(freed, ExecutionError::Duplicate));
                }
                Err(Refused::For(ExecutionError::Unknown(reason))) => {
                    // It may have been committed, so it is not decided a second time.
                    let lost = || ExecutionError::unavailable(reason);
                    let Some(key) = &submission.key else { return Err(lost()) };
                    let stored = self.ports.idempotency.find(submission.tenant_id, key).await;
                    return Err(stored.map_err(unreachable)?.map_or_else(lost, ExecutionError::Duplicate));
                }
                Err(Refused::For(error)) => return Err(error),
            }
            let jitter = self.ports.ids.uuid().as_u128() % 8;
            tokio::time::sleep(Duration::from_millis(1 + u64::try_from(jitter).expect("below 8"))).await;
        }
        Err(ExecutionError::unavailable("other transactions were in the way, again and again"))
    }

    async fn attempt(&self, submission: &Submission, locks_anyway: bool) -> Result<Executed, Refused> {
        let role = submission.context.caller.role;
        let place = match &submission.command {
            Command::Booking(_, BookingCommand::Create { .. })
            | Command::StaffUtilisation(..)
            | Command::LoyaltyBalance(..)
            | Command::StockItem(..) => None,
            Command::Booking(id, _) => self.places.seen(submission.tenant_id, *id).await.map_err(away)?,
        };
        let client = self.ports.callers.of(role).for_command(submission.tenant_id).await.map_err(away)?;
        client.unfinished().watched(self.transact(&client, submission, place, locks_anyway)).await
    }

    async fn transact(
        &self,
        client: &PooledClient,
        submission: &Submission,
        place: Option<Place>,
        locks_anyway: bool,
    ) -> Result<Executed, Refused> {
        client.prepare_met().await?;
        let transaction = CommandTransaction::new(client, submission.tenant_id);
        let deciding = Deciding::new(submission, &*self.ports.ids, self.ports.clock.now(), locks_anyway);
        let decided = self.decide(&transaction, deciding, place).await;
        let (deciding, refused) = match decided {
            Ok(decided) => decided,
            Err(error) => {
                transaction.give_up().await;
                return Err(error);
            }
        };
        let response = deciding.response.expect("whoever decides sets the response");
        let settlement = Settlement {
            record: response.record.as_ref(),
            sealed: if refused { &[] } else { &submission.sealed },
            rows: &deciding.rows,
            found_at: place.map(|place| place.slot_start),
        };
        if refused && settlement.record.is_none() {
            transaction.give_up().await;
            return Ok(Executed { answer: response.answer, committed: None });
        }
        let transaction_id = transaction.commit(submission.command_id, &settlement).await?;
        self.note_places(submission.tenant_id, &deciding.rows, place);
        self.remember(submission, response.record, transaction_id);
        let committed = Some(Committed { transaction_id, recorded_at: deciding.now });
        Ok(Executed { answer: response.answer, committed })
    }

    /// Up to what is to be written, and whether it is no more than a refusal.
    async fn decide<'s>(
        &'s self,
        transaction: &CommandTransaction<'_>,
        mut deciding: Deciding<'s>,
        place: Option<Place>,
    ) -> Result<(Deciding<'s>, bool), Refused> {
        let submission = deciding.submission;
        let (entered, first) =
            join(transaction.enter(submission), self.first(transaction, submission, &deciding, place)).await;
        entered?;
        let (first, prefetched) = first?;
        deciding.prefetched = prefetched;
        match deciding.run(transaction, first).await? {
            Ok(()) => Ok((deciding, false)),
            Err(refusal) => {
                deciding.refuse(&refusal);
                Ok((deciding, true))
            }
        }
    }

    /// What is surely needed is asked for in the same go that begins the transaction: of a new booking, the calendar.
    async fn first(
        &self,
        transaction: &CommandTransaction<'_>,
        submission: &Submission,
        deciding: &Deciding<'_>,
        place: Option<Place>,
    ) -> Result<(Loaded, Option<Loaded>), Refused> {
        match &submission.command {
            &Command::Booking(_, BookingCommand::Create { booking_id, staff_id, service_id, slot, .. }) => {
                let reserve = StaffCommand::Reserve { staff_id, booking_id, service_id, slot };
                let calendar = deciding.load(transaction, &Command::StaffUtilisation(staff_id, reserve)).await?;
                Ok((Loaded::Booking(None), Some(calendar)))
            }
            Command::Booking(id, _) => {
                let Some(place) = place else { return Ok((Loaded::Booking(None), None)) };
                let appointment = transaction.appointment(*id, place.slot_start).await?;
                if appointment.is_none() {
                    self.look_elsewhere(submission.tenant_id, *id, place).await?;
                }
                Ok((Loaded::Booking(appointment), None))
            }
            command @ (Command::StaffUtilisation(..) | Command::LoyaltyBalance(..) | Command::StockItem(..)) => {
                Ok((deciding.load(transaction, command).await?, None))
            }
        }
    }

    /// A row that is not where it was seen has moved, is gone, or is not the caller's to see.
    async fn look_elsewhere(&self, tenant_id: TenantId, id: BookingId, place: Place) -> Result<(), Refused> {
        match self.places.find(tenant_id, id).await.map_err(away)? {
            Some(found) if found.slot_start != place.slot_start => {
                Err(Refused::Again("the appointment has moved".to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn note_places(&self, tenant_id: TenantId, rows: &[RowChange], before: Option<Place>) {
        for row in rows {
            match row {
                RowChange::Appointment(change) => {
                    let (start, customer_id) = (change.details.slot.start, change.details.customer_id);
                    let stayed = before.map(|place| place.slot_start).filter(|at| at.shown() == start);
                    let slot_start = stayed.unwrap_or_else(|| start.into());
                    self.places.note(tenant_id, change.booking_id, Place { slot_start, customer_id });
                }
                RowChange::Hold(_) | RowChange::Ledger(_) | RowChange::Movement(_) => {}
            }
        }
    }

    fn remember(&self, submission: &Submission, record: Option<IdempotencyRecord>, transaction_id: u64) {
        let Some(record) = record else { return };
        let stored = record.committed(submission.command_id, transaction_id);
        self.ports.answers.remember(submission.tenant_id, &record.key, stored);
    }
}

fn unreachable(error: StoreError) -> ExecutionError {
    ExecutionError::unavailable(error.to_string())
}

fn away(reason: impl std::fmt::Display) -> Refused {
    Refused::For(ExecutionError::unavailable(reason.to_string()))
}
