//! Read models, each folded from the feed and owned by one actor.
//!
//! A model is a persistent data structure: cloning it costs nothing, so readers get a finished one while the owner goes
//! on. To add one: a file here, a line in the runtime's `Projections`, and its golden rule: `apply` needs nothing but
//! the events.

pub mod appointment_summaries;
pub mod availability;
pub mod inventory;
pub mod loyalty_balances;
pub mod revenue;
pub mod staff_utilisation;

mod fold;

pub use fold::{Fold, Stopped};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::RecordedEvent;
use crate::event::Event;
use crate::ids::{AggregateType, EventId, StreamId, Version};
use crate::time::Timestamp;

pub trait Projection: Default + Clone + Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// The name in `event_projection_offsets`, in metrics and on the command line.
    const NAME: &'static str;
    /// Raised with every change of the serialized form or of what it means: an older snapshot is dropped, and the
    /// projection rebuilt from events.
    const FORMAT: u16;
    /// The only aggregate type whose events it folds.
    const FOLDS: AggregateType;

    /// Folds one event. An error stops the event's tenant in this projection, and only that.
    fn apply(&mut self, event: &Applicable<'_>) -> Result<(), NotApplicable>;
}

/// A readable event, with what a fold may know of it.
#[derive(Debug, Clone, Copy)]
pub struct Applicable<'a> {
    pub event_id: EventId,
    pub stream: StreamId,
    pub version: Version,
    pub occurred_at: Timestamp,
    pub event: &'a Event,
}

impl<'a> Applicable<'a> {
    pub fn of(recorded: &'a RecordedEvent) -> Result<Applicable<'a>, NotApplicable> {
        let event = recorded.event.as_ref().map_err(|error| NotApplicable(error.to_string()))?;
        Ok(Applicable {
            event_id: recorded.event_id,
            stream: recorded.stream,
            version: recorded.version,
            occurred_at: recorded.occurred_at,
            event,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotApplicable(pub String);
