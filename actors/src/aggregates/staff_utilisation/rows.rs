use crate::ids::StaffId;
use crate::rows::{Decided, Hold, RowChange};

use super::{DayShare, StaffUtilisationEvent};

/// The slots themselves are the appointments' rows, and booked minutes are counted from these.
pub(super) fn changes(decided: &Decided<'_, StaffUtilisationEvent>) -> Vec<RowChange> {
    let staff_id = StaffId(decided.aggregate_id);
    let hold = |booking_id, buffer_before_minutes, buffer_after_minutes, days: &[DayShare]| {
        let working_minutes = days.iter().map(|day| (day.date, day.working_minutes)).collect();
        let hold = Hold { staff_id, booking_id, buffer_before_minutes, buffer_after_minutes, working_minutes };
        RowChange::Hold(hold)
    };
    let change = |event: &StaffUtilisationEvent| match event {
        StaffUtilisationEvent::Reserved(event) => {
            Some(hold(event.booking_id, event.buffer_before_minutes, event.buffer_after_minutes, &event.days))
        }
        StaffUtilisationEvent::Moved(event) => {
            Some(hold(event.booking_id, event.buffer_before_minutes, event.buffer_after_minutes, &event.days_to))
        }
        StaffUtilisationEvent::Released(_) => None,
    };
    decided.events.iter().filter_map(|(_, event)| change(event)).collect()
}
