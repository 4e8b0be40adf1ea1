//! A product's stock with one tenant: received, corrected, reserved and consumed. What is on hand is never less than
//! what is reserved, and neither is ever below zero.
//!
//! A reservation counts until its time is up; the first command after that writes the event that takes it away. As with
//! points, the state holds what decisions need and no history: a list of movements is the event stream itself.

mod commands;
mod decide;
mod events;
mod evolve;
mod movement;
mod rows;
mod state;
#[cfg(test)]
mod tests;

pub use commands::{Lines, StockCommand, StockRefusal};
pub use events::{
    AdjustmentReason, ReservationExpired, StockAdjusted, StockConsumed, StockItemEvent, StockReceived, StockReleased,
    StockReserved,
};
pub use movement::Movement;
pub use state::{Reservation, StockItem};

use crate::aggregate::{Aggregate, Context, Decision};
use crate::answer::StateView;
use crate::ids::AggregateType;
use crate::refusal::Refusal;
use crate::rows::{Decided, RowChange};
use crate::time::Timestamp;

impl Aggregate for StockItem {
    const TYPE: AggregateType = AggregateType::StockItem;
    const STATE_FORMAT: u16 = 1;

    type Command = StockCommand;
    type Event = StockItemEvent;

    fn decide(
        &self,
        command: &StockCommand,
        context: &Context,
        now: Timestamp,
    ) -> Result<Decision<StockItemEvent>, Refusal> {
        decide::decide(self, command, &context.reference, now)
    }

    fn evolve(&mut self, event: &StockItemEvent, occurred_at: Timestamp) {
        evolve::evolve(self, event, occurred_at);
    }

    fn view(&self) -> StateView<'_> {
        StateView::StockItem(self)
    }

    fn row_changes(&self, decided: &Decided<'_, StockItemEvent>) -> Vec<RowChange> {
        rows::changes(self, decided)
    }
}
