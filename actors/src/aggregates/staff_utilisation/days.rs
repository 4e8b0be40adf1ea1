//! A tenant's calendar days as instants.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::reference::StaffAvailability;
use crate::time::{Slot, start_of_day};

use super::DayShare;
use super::hours::{WorkingWindows, hours_on};

/// The local days that `span` touches, each with its own instants: 23 to 25 hours where clocks change.
pub fn local_days(span: Slot, zone: &TimeZone) -> impl Iterator<Item = (Date, Slot)> {
    let mut date = span.start.date_in(zone);
    let mut start = start_of_day(date, zone);
    std::iter::from_fn(move || {
        (start < span.end).then(|| {
            let (today, begin) = (date, start);
            date = today.tomorrow().expect("instants end in the year 2200, dates in 9999");
            start = start_of_day(date, zone);
            (today, Slot::new(begin, start))
        })
    })
    // A zone that moves across the date line leaves out a whole day.
    .filter_map(|(date, day)| day.map(|day| (date, day)))
}

/// How the slot's minutes fall on the tenant's days. The shares add up to the slot's minutes.
pub fn day_shares(slot: Slot, availability: &StaffAvailability, zone: &TimeZone) -> Vec<DayShare> {
    let mut counted = 0;
    local_days(slot, zone)
        .map(|(date, day)| {
            let until_then = Slot { start: slot.start, end: day.end.min(slot.end) }.minutes();
            let booked = until_then - counted;
            counted = until_then;
            DayShare {
                date,
                booked_minutes: u32::try_from(booked).expect("a day's minutes"),
                working_minutes: working_minutes(date, day, availability, zone),
            }
        })
        .collect()
}

/// 0 where no hours are on record: nothing says how much of the day is work.
fn working_minutes(date: Date, day: Slot, availability: &StaffAvailability, zone: &TimeZone) -> u32 {
    match hours_on(date, availability) {
        Some(_) => WorkingWindows::within(day, availability, zone).minutes(),
        None => 0,
    }
}
