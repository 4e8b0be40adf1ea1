//! What an aggregate is: decisions are pure, and state is the fold of events.
//!
//! To add one: a folder under `aggregates/` (or `sagas/`) with `state.rs`, `commands.rs`, `events.rs`, `decide.rs`,
//! `evolve.rs`; a variant of [`AggregateType`], of [`Command`](crate::command::Command), and of
//! [`Event`](crate::event::Event). The compiler then names every other place.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::StateView;
use crate::command::Command;
use crate::envelope::Caller;
use crate::event::EventBody;
use crate::ids::AggregateType;
use crate::reference::TenantReference;
use crate::refusal::Refusal;
use crate::rows::{Decided, RowChange};
use crate::time::Timestamp;

pub trait Aggregate: Default + Clone + Serialize + DeserializeOwned + Send + 'static {
    const TYPE: AggregateType;
    /// Raised with every change of the state's serialized form: older snapshots are dropped and rebuilt from events.
    const STATE_FORMAT: u16;

    type Command: Clone + Send + 'static;
    type Event: EventBody;

    /// Decides without effect. A refusal leaves nothing behind; the same input always gives the same answer.
    fn decide(
        &self,
        command: &Self::Command,
        context: &Context,
        now: Timestamp,
    ) -> Result<Decision<Self::Event>, Refusal>;

    /// Folds one event. Never fails: whatever is in the store has happened, also what today's rules would refuse.
    fn evolve(&mut self, event: &Self::Event, occurred_at: Timestamp);

    /// For whoever builds the answer.
    fn view(&self) -> StateView<'_>;

    /// What the events change in the transactional tables; `self` is the state after them.
    fn row_changes(&self, decided: &Decided<'_, Self::Event>) -> Vec<RowChange>;

    /// For sagas: the row of `saga_instances` that goes with this state.
    fn saga_state(&self) -> Option<SagaState> {
        None
    }
}

/// What a command brings about: events of the own stream, and what other aggregates are asked to decide in the same
/// append. All of it is committed, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<E> {
    pub events: Vec<E>,
    /// Asked in this order: rarely contended aggregates first, since each waits for those behind it, and only the
    /// last goes on at once. Targets always follow the order stock items, ascending → loyalty balance → staff
    /// utilisation, so no two appends can wait for each other.
    pub requests: Vec<Command>,
}

impl<E> Decision<E> {
    pub fn event(event: E) -> Decision<E> {
        Decision { events: vec![event], requests: Vec::new() }
    }

    pub fn nothing() -> Decision<E> {
        Decision { events: Vec::new(), requests: Vec::new() }
    }

    #[must_use]
    pub fn asking(mut self, request: Command) -> Decision<E> {
        self.requests.push(request);
        self
    }
}

/// What a decision may look at besides its state: reference data and who asks.
#[derive(Debug, Clone)]
pub struct Context {
    pub reference: Arc<TenantReference>,
    pub caller: Caller,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaState {
    pub status: &'static str,
    /// JSON without personal data.
    pub state: String,
}
