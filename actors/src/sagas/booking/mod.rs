//! A booking from its creation to its end: the life cycle, and what each step asks of the staff member's calendar and
//! of the customer's points.
//!
//! Which role may ask for which step stands in the route table; here a customer is only kept to the own bookings.

mod commands;
mod decide;
mod events;
mod evolve;
mod rows;
mod state;
#[cfg(test)]
mod tests;

pub use commands::{BookingCommand, BookingRefusal};
pub use decide::check_slot;
pub use events::{
    BookingCancelled, BookingCheckedIn, BookingCompleted, BookingConfirmed, BookingEvent, BookingNoShow,
    BookingRescheduled, BookingScheduled,
};
pub use state::{BookingDetails, BookingSaga, BookingStatus};

use crate::aggregate::{Aggregate, Context, Decision, SagaState};
use crate::answer::StateView;
use crate::ids::AggregateType;
use crate::refusal::Refusal;
use crate::rows::{Decided, RowChange};
use crate::time::Timestamp;

impl Aggregate for BookingSaga {
    const TYPE: AggregateType = AggregateType::Booking;
    const STATE_FORMAT: u16 = 1;

    type Command = BookingCommand;
    type Event = BookingEvent;

    fn decide(
        &self,
        command: &BookingCommand,
        context: &Context,
        now: Timestamp,
    ) -> Result<Decision<BookingEvent>, Refusal> {
        decide::decide(self, command, context, now)
    }

    fn evolve(&mut self, event: &BookingEvent, occurred_at: Timestamp) {
        evolve::evolve(self, event, occurred_at);
    }

    fn view(&self) -> StateView<'_> {
        StateView::Booking(self)
    }

    fn row_changes(&self, decided: &Decided<'_, BookingEvent>) -> Vec<RowChange> {
        rows::changes(self, decided)
    }

    fn saga_state(&self) -> Option<SagaState> {
        self.details.as_ref().map(BookingDetails::saga_state)
    }
}
