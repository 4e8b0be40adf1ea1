use crate::time::Timestamp;

use super::events::{BookingEvent, BookingScheduled};
use super::state::{BookingDetails, BookingSaga, BookingStatus};

pub(super) fn evolve(saga: &mut BookingSaga, event: &BookingEvent, occurred_at: Timestamp) {
    if let BookingEvent::Scheduled(scheduled) = event {
        saga.details = Some(begun(scheduled, occurred_at));
    }
    let Some(booking) = &mut saga.details else { return };
    booking.updated_at = occurred_at;
    match event {
        BookingEvent::Scheduled(_) => {}
        BookingEvent::Rescheduled(rescheduled) => {
            booking.slot = rescheduled.to;
            booking.moved = true;
        }
        BookingEvent::Confirmed(_) => booking.status = BookingStatus::Confirmed,
        BookingEvent::CheckedIn(_) => booking.status = BookingStatus::CheckedIn,
        BookingEvent::Completed(_) => booking.status = BookingStatus::Completed,
        BookingEvent::NoShow(_) => booking.status = BookingStatus::NoShow,
        BookingEvent::Cancelled(cancelled) => {
            booking.status = BookingStatus::Cancelled;
            booking.reason_recorded = cancelled.reason_recorded;
        }
    }
}

fn begun(scheduled: &BookingScheduled, occurred_at: Timestamp) -> BookingDetails {
    BookingDetails {
        status: BookingStatus::Scheduled,
        staff_id: scheduled.staff_id,
        service_id: scheduled.service_id,
        customer_id: scheduled.customer_id,
        slot: scheduled.slot,
        price: scheduled.price,
        moved: false,
        reason_recorded: false,
        created_at: occurred_at,
        updated_at: occurred_at,
    }
}
