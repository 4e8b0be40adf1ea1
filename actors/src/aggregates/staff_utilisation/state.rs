use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Context, Decision};
use crate::answer::StateView;
use crate::ids::AggregateType;
use crate::refusal::Refusal;
use crate::rows::{Decided, RowChange};
use crate::time::Timestamp;

use super::{Calendar, DayTotals, StaffCommand, StaffUtilisationEvent, decide, evolve, rows};

/// Bounded however long a person works here: both parts turn what is old into totals, by the time of the events alone,
/// so that every replay ends in the same state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StaffUtilisation {
    pub calendar: Calendar,
    pub days: DayTotals,
}

impl Aggregate for StaffUtilisation {
    const TYPE: AggregateType = AggregateType::StaffUtilisation;
    const STATE_FORMAT: u16 = 1;

    type Command = StaffCommand;
    type Event = StaffUtilisationEvent;

    /// Doesn't look at `now`: whether a slot lies too far in the past or ahead is the booking's own rule.
    fn decide(
        &self,
        command: &StaffCommand,
        context: &Context,
        _now: Timestamp,
    ) -> Result<Decision<StaffUtilisationEvent>, Refusal> {
        decide::decide(&self.calendar, command, &context.reference)
    }

    fn evolve(&mut self, event: &StaffUtilisationEvent, occurred_at: Timestamp) {
        evolve::evolve(self, event, occurred_at);
    }

    fn view(&self) -> StateView<'_> {
        StateView::StaffUtilisation(self)
    }

    fn row_changes(&self, decided: &Decided<'_, StaffUtilisationEvent>) -> Vec<RowChange> {
        rows::changes(decided)
    }
}
