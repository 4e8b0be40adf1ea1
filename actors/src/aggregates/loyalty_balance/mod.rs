//! A customer's points with one tenant: earned, spent, corrected, taken back and expired, never below zero.
//!
//! The state holds what decisions need and no history: a list of what happened is the event stream itself.

mod commands;
mod decide;
mod events;
mod evolve;
mod rows;
mod state;
#[cfg(test)]
mod tests;

pub use commands::{LoyaltyCommand, LoyaltyRefusal};
pub use events::{LoyaltyBalanceEvent, PointsAccrued, PointsAdjusted, PointsExpired, PointsRedeemed, PointsReversed};
pub use state::LoyaltyBalance;

use crate::aggregate::{Aggregate, Context, Decision};
use crate::answer::StateView;
use crate::ids::AggregateType;
use crate::refusal::Refusal;
use crate::rows::{Decided, RowChange};
use crate::time::Timestamp;

impl Aggregate for LoyaltyBalance {
    const TYPE: AggregateType = AggregateType::LoyaltyBalance;
    const STATE_FORMAT: u16 = 1;

    type Command = LoyaltyCommand;
    type Event = LoyaltyBalanceEvent;

    fn decide(
        &self,
        command: &LoyaltyCommand,
        context: &Context,
        now: Timestamp,
    ) -> Result<Decision<LoyaltyBalanceEvent>, Refusal> {
        decide::decide(self, command, context, now)
    }

    fn evolve(&mut self, event: &LoyaltyBalanceEvent, occurred_at: Timestamp) {
        evolve::evolve(self, event, occurred_at);
    }

    fn view(&self) -> StateView<'_> {
        StateView::LoyaltyBalance(self)
    }

    fn row_changes(&self, decided: &Decided<'_, LoyaltyBalanceEvent>) -> Vec<RowChange> {
        rows::changes(self, decided)
    }
}
