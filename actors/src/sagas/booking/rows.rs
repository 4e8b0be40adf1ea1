use crate::ids::BookingId;
use crate::rows::{AppointmentChange, Decided, RowChange};

use super::{BookingEvent, BookingSaga};

/// One change, however many events: a row is written as it ends up.
pub(super) fn changes(saga: &BookingSaga, decided: &Decided<'_, BookingEvent>) -> Vec<RowChange> {
    let (Some(details), Some((event_id, _))) = (&saga.details, decided.events.first()) else { return Vec::new() };
    let mut change = AppointmentChange {
        booking_id: BookingId(decided.aggregate_id),
        event_id: *event_id,
        at: Some(details.slot.start),
        version: decided.after(),
        details: details.clone(),
        moved_at: None,
        fee_waived: false,
    };
    // Backwards, since what is asked for is where the row stood before the first of them.
    for (_, event) in decided.events.iter().rev() {
        match event {
            BookingEvent::Scheduled(_) => change.at = None,
            BookingEvent::Rescheduled(moved) => {
                change.at = Some(moved.from.start);
                change.moved_at = Some(decided.occurred_at);
            }
            BookingEvent::Cancelled(cancelled) => change.fee_waived = cancelled.waive_fee,
            BookingEvent::Confirmed(_)
            | BookingEvent::CheckedIn(_)
            | BookingEvent::Completed(_)
            | BookingEvent::NoShow(_) => {}
        }
    }
    vec![RowChange::Appointment(change)]
}
