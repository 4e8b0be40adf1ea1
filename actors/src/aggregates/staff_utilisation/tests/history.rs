use jiff::civil::date;

use super::*;
use crate::aggregate::Aggregate;
use crate::testing::{ANNA, context, salon, slot};
use crate::time::DAY_MS;

fn days_later(instant: Timestamp, days: i64) -> Timestamp {
    instant.plus_millis(days * DAY_MS)
}

/// What happens after `days` that concerns neither the earlier slots nor their days.
fn something_else(given: Staff, days: i64) -> Staff {
    let at = days_later(now(), days);
    let elsewhere = SlotReserved { days: Vec::new(), ..reserved(99, Slot::new(at, at.plus_minutes(1)).unwrap()) };
    given.and(at, [StaffUtilisationEvent::Reserved(elsewhere)])
}

#[test]
fn a_slot_long_past_is_forgotten_and_its_minutes_are_not() {
    let held = slot("2027-03-08T09:00:00+01:00", 60);
    let then = something_else(on_calendar([reserved(1, held)]), 69);
    assert!(then.state.calendar.reservation(booking_id(1)).is_some());
    let later = something_else(then, 70);
    assert!(later.state.calendar.reservation(booking_id(1)).is_none());
    assert_eq!(later.state.days.booked_minutes(), 60);
}

#[test]
fn a_forgotten_slot_is_still_released() {
    let context = context(salon());
    let held = slot("2027-03-08T09:00:00+01:00", 60);
    let later = something_else(on_calendar([reserved(1, held)]), 100);
    let done = release(ANNA, 1, held, ReleaseReason::Completed);
    assert_eq!(later.clone().when(&done, &context, now()).given().state.days.booked_minutes(), 60);
    let no_show = release(ANNA, 1, held, ReleaseReason::NoShow);
    assert_eq!(later.when(&no_show, &context, now()).given().state.days.booked_minutes(), 0);
}

#[test]
fn a_forgotten_slot_is_still_moved() {
    let held = slot("2027-03-08T09:00:00+01:00", 60);
    let to = slot("2027-07-08T09:00:00+02:00", 60);
    let command =
        StaffCommand::Move { staff_id: ANNA, booking_id: booking_id(1), service_id: Some(HAIRCUT), from: held, to };
    let later = something_else(on_calendar([reserved(1, held)]), 100);
    let moved = later.when(&command, &context(salon()), days_later(now(), 100)).given().state;
    assert_eq!(moved.calendar.reservation(booking_id(1)).map(|held| held.slot), Some(to));
    assert_eq!(moved.days.days(date(2027, 3, 8), date(2027, 3, 9))[0].booked_minutes, 0);
    assert_eq!(moved.days.booked_minutes(), 60);
}

#[test]
fn old_days_become_months_and_old_months_years() {
    let held = SlotReserved {
        days: vec![DayShare { date: date(2027, 3, 8), booked_minutes: 60, working_minutes: 480 }],
        ..reserved(1, slot("2027-03-08T09:00:00+01:00", 60))
    };
    let total = |date| PeriodTotal { date, booked_minutes: 60, working_minutes: 480 };
    let fresh = something_else(on_calendar([held]), 400);
    assert_eq!(fresh.state.days.days(date(2027, 1, 1), date(2028, 1, 1)), [total(date(2027, 3, 8))]);
    let by_month = something_else(fresh, 500);
    assert_eq!(by_month.state.days.months(), [total(date(2027, 3, 1))]);
    let by_year = something_else(by_month, 800);
    assert_eq!((by_year.state.days.months(), by_year.state.days.years()), (&[][..], &[total(date(2027, 1, 1))][..]));

    let late = DayShare { date: date(2027, 3, 8), booked_minutes: 45, working_minutes: 480 };
    let cancelled = SlotReleased {
        booking_id: booking_id(1),
        slot: slot("2027-03-08T09:00:00+01:00", 60),
        reason: ReleaseReason::NoShow,
        days: vec![late],
    };
    let years = by_year.and(now(), [StaffUtilisationEvent::Released(cancelled)]).state.days.years().to_vec();
    assert_eq!(years, [PeriodTotal { date: date(2027, 1, 1), booked_minutes: 15, working_minutes: 480 }]);
}

#[test]
fn a_days_hours_count_once_however_many_bookings_it_has() {
    let day = |booked_minutes| DayShare { date: date(2027, 3, 8), booked_minutes, working_minutes: 480 };
    let booking = |number, hour, minutes| SlotReserved {
        days: vec![day(minutes)],
        ..reserved(number, slot(&format!("2027-03-08T{hour}:00:00+01:00"), minutes.into()))
    };
    let busy = on_calendar([booking(1, "09", 60), booking(2, "10", 30)]);
    let total = |date| PeriodTotal { date, booked_minutes: 90, working_minutes: 480 };
    assert_eq!(busy.state.days.days(date(2027, 3, 8), date(2027, 3, 9)), [total(date(2027, 3, 8))]);
    let mut brought_in = booking(3, "11", 15);
    brought_in.days[0].working_minutes = 500;
    let late = something_else(busy, 500).and(now(), [StaffUtilisationEvent::Reserved(brought_in)]);
    assert_eq!(late.state.days.months(), [PeriodTotal { booked_minutes: 105, ..total(date(2027, 3, 1)) }]);
}

#[test]
fn a_long_reservation_that_was_brought_in_is_found_also_after_others_are_forgotten() {
    let long = reserved(1, slot("2027-05-01T09:00:00+02:00", 40 * 24 * 60));
    let inside = reserved(2, slot("2027-05-02T09:00:00+02:00", 60));
    let later = something_else(on_calendar([long, inside]), 70);
    let wanted = reserve(ANNA, 3, HAIRCUT, slot("2027-06-01T09:00:00+02:00", 60));
    later.when(&wanted, &context(salon()), now()).then_refused(StaffRefusal::SlotTaken);
}

/// Eight bookings a day, of which two are never closed.
#[test]
fn ten_years_of_work_take_no_more_memory_than_two() {
    let mut state = StaffUtilisation::default();
    let mut sizes = Vec::new();
    let mut minutes = 0;
    for day in 0..3_650 {
        let morning = days_later(now(), day);
        for hour in 0..8 {
            let booking = u128::try_from(day * 8 + hour).unwrap();
            let start = morning.plus_minutes(hour * 60);
            let slot = Slot::new(start, start.plus_minutes(60)).unwrap();
            state.evolve(&StaffUtilisationEvent::Reserved(reserved(booking, slot)), morning);
            minutes += 60;
            if hour < 6 {
                let reason = if hour < 5 { ReleaseReason::Completed } else { ReleaseReason::Cancelled };
                let days = if hour < 5 { Vec::new() } else { vec![share(slot, 0)] };
                minutes -= if hour < 5 { 0 } else { 60 };
                let released = SlotReleased { booking_id: booking_id(booking), slot, reason, days };
                state.evolve(&StaffUtilisationEvent::Released(released), slot.end);
            }
        }
        if day % 365 == 364 {
            sizes.push(rmp_serde::to_vec(&state).unwrap().len());
        }
    }
    assert!(sizes[9] < sizes[1] + 500, "{sizes:?}");
    assert!(state.calendar.reservations().len() <= 64 * 2);
    assert_eq!(state.days.booked_minutes(), minutes);
    assert!(state.days.months().len() <= 25 && state.days.years().len() <= 10);
}
