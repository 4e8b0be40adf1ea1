//! Appends on their way to the journal, and what becomes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use crate::answer::Answer;
use crate::ports::{Append, AppendError, Committed, Snapshot};
use crate::time::Timestamp;

use super::Shared;
use super::execution::{Executed, Execution, Failure, Reply};

/// An actor's appends under way. Replaced as a whole when the state is reloaded, so that what becomes of older ones is
/// ignored.
pub(super) struct Flight {
    appends: AtomicU32,
    /// One of them has left the state ahead of the store. The actor hears of it behind what is in its mailbox.
    failed: AtomicBool,
    recorded_at: AtomicI64,
}

/// A decided command on its way out: its append, and who waits for what became of it.
pub(super) struct Departure {
    append: Append,
    answer: Answer,
    reply: Reply,
    refused: bool,
    /// Of the state that the append makes durable.
    pub snapshot: Option<Snapshot>,
}

impl Flight {
    pub fn since(recorded_at: Timestamp) -> Arc<Flight> {
        Arc::new(Flight {
            appends: AtomicU32::new(0),
            failed: AtomicBool::new(false),
            recorded_at: AtomicI64::new(recorded_at.as_millis()),
        })
    }

    pub fn landed(&self, recorded_at: Timestamp) {
        self.recorded_at.fetch_max(recorded_at.as_millis(), Ordering::AcqRel);
    }

    /// Whether the store has all of it.
    pub fn is_durable(&self) -> bool {
        self.appends.load(Ordering::Acquire) == 0 && !self.failed.load(Ordering::Acquire)
    }

    /// When the last append was recorded.
    pub fn recorded_at(&self) -> Timestamp {
        Timestamp::from_millis(self.recorded_at.load(Ordering::Acquire))
    }

    /// `false` when the journal is full. `failed` is called, before the caller hears of it, when the append leaves the
    /// actor with another state than the store has.
    pub fn submit(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        departure: Departure,
        failed: impl FnOnce() + Send + Sync + 'static,
    ) -> bool {
        let (flight, snapshots) = (Arc::clone(self), Arc::clone(&shared.snapshots));
        let Departure { append, answer, reply, refused, snapshot } = departure;
        self.appends.fetch_add(1, Ordering::AcqRel);
        let done = move |result: Result<Committed, AppendError>| {
            match &result {
                Ok(committed) => {
                    flight.landed(committed.recorded_at);
                    if let Some(snapshot) = snapshot {
                        snapshots.save(Snapshot { recorded_at: committed.recorded_at, ..snapshot });
                    }
                }
                Err(error) if outdates(error, refused) => {
                    flight.failed.store(true, Ordering::Release);
                    failed();
                }
                Err(_) => {}
            }
            flight.appends.fetch_sub(1, Ordering::AcqRel);
            settle(reply, answer, refused, result);
        };
        shared.journal.submit(append, Box::new(done))
    }
}

impl Departure {
    pub fn accepted(execution: Execution) -> Departure {
        Departure::of(execution, false)
    }

    /// After [`Execution::refuse`].
    pub fn refused(execution: Execution) -> Departure {
        Departure::of(execution, true)
    }

    fn of(mut execution: Execution, refused: bool) -> Departure {
        let append = execution.append();
        let answer = execution.response.expect("whoever decides sets the response").answer;
        Departure { append, answer, reply: execution.reply, refused, snapshot: None }
    }

    /// For a refusal that no actor decided. The journal is asked only if there is something to store.
    pub fn submit(self, shared: &Shared) {
        let Departure { append, answer, reply, refused, .. } = self;
        if append.idempotency.is_none() {
            let _ = reply.send(Err(Failure::Refused(Executed { answer, committed: None })));
            return;
        }
        shared.journal.submit(append, Box::new(move |result| settle(reply, answer, refused, result)));
    }
}

/// Whether an append that failed tells that the state differs from the store's. Loading it again for anything else would
/// only add to what overloads the store.
fn outdates(error: &AppendError, refused: bool) -> bool {
    match error {
        AppendError::Conflict | AppendError::Duplicate(_) | AppendError::Unknown(_) => true,
        // Nothing was written: the state is ahead if the append was to move it, and the store will never follow.
        AppendError::CustomerMoved
        | AppendError::StageEnded
        | AppendError::RowInTheWay
        | AppendError::RowChanged
        | AppendError::Rejected(_)
        | AppendError::Unavailable(_) => !refused,
        // Was never on its way, so the state isn't ahead.
        AppendError::QueueFull => false,
    }
}

/// Answers the caller with what became of the append.
fn settle(reply: Reply, answer: Answer, refused: bool, result: Result<Committed, AppendError>) {
    let outcome = match result {
        Ok(committed) => {
            let executed = Executed { answer, committed: Some(committed) };
            if refused { Err(Failure::Refused(executed)) } else { Ok(executed) }
        }
        Err(error) => Err(Failure::Error(error.into())),
    };
    // A caller that has gone away doesn't need to know.
    let _ = reply.send(outcome);
}
