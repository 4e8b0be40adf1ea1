//! Spans of a command's way, for traces only: on `debug`, which logs don't show by default, and under a target of their
//! own, which exporters ask for. Where nobody does, none is created.

use tracing::field::Empty;
use tracing::{Level, Span};

use crate::envelope::RecordedEvent;
use crate::ids::{AggregateType, StreamId};

pub const TARGET: &str = "codeccloud::trace";

/// Makes a span that was not entered yet a part of the trace that a W3C `traceparent` comes from. The core knows nothing
/// of exporters, so it is told how.
pub type ContinueTrace = fn(&Span, &str);

pub fn is_wanted() -> bool {
    tracing::span_enabled!(target: TARGET, Level::DEBUG)
}

/// One attempt at a command, from the request to the durable answer.
pub(crate) fn command(aggregate_type: AggregateType) -> Span {
    tracing::debug_span!(target: TARGET, "command", aggregate_type = aggregate_type.as_str())
}

/// From the actor's mailbox to its decision.
pub(crate) fn decide(stream: StreamId) -> Span {
    tracing::debug_span!(
        target: TARGET, "decide",
        aggregate_type = stream.aggregate_type.as_str(), aggregate_id = %stream.aggregate_id,
    )
}

/// From the journal's queue to the commit. One transaction serves many traces, so each append has a span of its own that
/// says how many shared it.
pub fn append() -> Span {
    tracing::debug_span!(target: TARGET, "append", lane = Empty, batch_size = Empty, outcome = Empty)
}

/// From an event's arrival at a projection until readers see it, together with those that came in the same batch.
pub(crate) fn apply(projection: &'static str, recorded: &RecordedEvent, batch_size: usize) -> Span {
    tracing::debug_span!(
        target: TARGET, parent: None, "apply",
        projection, position = recorded.place.position.0, batch_size,
    )
}
