mod clock_changes;
mod history;
mod listing;
mod moving;
mod properties;
mod reserving;

use crate::ids::{ServiceId, StaffId};
use crate::testing::{Given, HAIRCUT, booking_id, time};
use crate::time::{Slot, Timestamp};

use super::*;

type Staff = Given<StaffUtilisation>;

fn now() -> Timestamp {
    time("2027-03-01T08:00:00+01:00")
}

fn reserve(staff_id: StaffId, booking: u128, service_id: ServiceId, slot: Slot) -> StaffCommand {
    StaffCommand::Reserve { staff_id, booking_id: booking_id(booking), service_id, slot }
}

fn release(staff_id: StaffId, booking: u128, slot: Slot, reason: ReleaseReason) -> StaffCommand {
    StaffCommand::Release { staff_id, booking_id: booking_id(booking), slot, reason }
}

/// A haircut, on one day, by someone without hours on record.
fn reserved(booking: u128, slot: Slot) -> SlotReserved {
    SlotReserved {
        booking_id: booking_id(booking),
        service_id: Some(HAIRCUT),
        slot,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        days: vec![share(slot, 0)],
    }
}

fn share(slot: Slot, working_minutes: u32) -> DayShare {
    let date = slot.start.date_in(&jiff::tz::TimeZone::get("Europe/Zurich").unwrap());
    DayShare { date, booked_minutes: slot.minutes().try_into().unwrap(), working_minutes }
}

fn on_calendar(events: impl IntoIterator<Item = SlotReserved>) -> Staff {
    Given::events(now(), events.into_iter().map(StaffUtilisationEvent::Reserved))
}
