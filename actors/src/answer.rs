//! What a command is answered with. It is built when the command is decided, because it is committed with the events.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::Event;
use crate::ids::{EventId, Version};
use crate::ports::IdempotencyRecord;
use crate::refusal::Refusal;
use crate::sagas::booking::BookingSaga;

use crate::aggregates::loyalty_balance::LoyaltyBalance;
use crate::aggregates::staff_utilisation::StaffUtilisation;
use crate::aggregates::stock_item::StockItem;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// An HTTP status: the core passes it on without looking.
    pub status: u16,
    pub body: Bytes,
    /// The version that the aggregate has now, for `ETag`.
    pub version: Option<Version>,
}

/// How a command was decided by the aggregate that it was sent to.
#[derive(Debug)]
pub enum Verdict<'a> {
    Accepted {
        state: StateView<'a>,
        version: Version,
        event_id: EventId,
        events: &'a [Event],
    },
    /// By that aggregate, or by one that it asked.
    Refused(&'a Refusal),
}

/// The state after the decision.
#[derive(Debug)]
pub enum StateView<'a> {
    StaffUtilisation(&'a StaffUtilisation),
    LoyaltyBalance(&'a LoyaltyBalance),
    StockItem(&'a StockItem),
    Booking(&'a BookingSaga),
}

#[derive(Debug, Clone)]
pub struct Response {
    pub answer: Answer,
    /// Stored with the command; `None` for answers that a retry may change.
    pub record: Option<IdempotencyRecord>,
}

/// Pure, and quick: it runs inside the actor.
pub type Respond = Arc<dyn Fn(&Verdict<'_>) -> Response + Send + Sync>;
