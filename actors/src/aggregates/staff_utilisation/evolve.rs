use crate::time::Timestamp;

use super::{StaffUtilisation, StaffUtilisationEvent};

/// The parts fold themselves, so that a projection can fold the one it needs.
pub(super) fn evolve(state: &mut StaffUtilisation, event: &StaffUtilisationEvent, occurred_at: Timestamp) {
    state.calendar.apply(event, occurred_at);
    state.days.apply(event, occurred_at);
}
