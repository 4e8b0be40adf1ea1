//! Europe/Zurich skips 2027-03-28 02:00 to 03:00 and repeats 2027-10-31 02:00 to 03:00.

use jiff::civil::{Date, date};

use super::*;
use crate::reference::{LocalInterval, TenantReference};
use crate::testing::{BEA, salon, slot};

const SPRING: Date = date(2027, 3, 28);
const AUTUMN: Date = date(2027, 10, 31);

/// Bea works on `day` from `start_minute` to `end_minute` by the clock on the wall, and on no other day.
fn salon_open(day: Date, start_minute: u16, end_minute: u16) -> TenantReference {
    let mut salon = salon();
    let availability = &mut salon.staff.get_mut(&BEA).unwrap().availability;
    availability.weekly = Some(Default::default());
    availability.exceptions.insert(day, vec![LocalInterval { start_minute, end_minute }]);
    salon
}

/// The starts that are listed, in UTC, for haircuts of `minutes` every 30 minutes.
fn listed(salon: &TenantReference, day: Date, minutes: u32) -> Vec<String> {
    let haircut = crate::testing::service(HAIRCUT, minutes);
    let start = crate::time::start_of_day(day, &salon.zone);
    let span = Slot::new(start, start.plus_minutes(25 * 60)).unwrap();
    let query = SlotQuery { span, granularity_minutes: 30, now: start };
    bookable_slots(&Calendar::default(), salon, &salon.staff[&BEA], &haircut, &query)
        .iter()
        .map(|slot| slot.start.to_string()[11..16].to_owned())
        .collect()
}

#[test]
fn the_hour_that_spring_skips_offers_nothing() {
    assert_eq!(listed(&salon_open(SPRING, 120, 180), SPRING, 30), [""; 0]);
    assert_eq!(listed(&salon_open(SPRING, 90, 210), SPRING, 30), ["00:30", "01:00"]);
    assert_eq!(listed(&salon_open(SPRING, 150, 210), SPRING, 30), ["01:00"]);
}

#[test]
fn the_hour_that_autumn_repeats_is_two_hours() {
    let twice = ["00:00", "00:30", "01:00", "01:30"];
    assert_eq!(listed(&salon_open(AUTUMN, 120, 180), AUTUMN, 30), twice);
    assert_eq!(listed(&salon_open(AUTUMN, 120, 180), AUTUMN, 60), ["00:00", "00:30", "01:00"]);
    assert_eq!(listed(&salon_open(AUTUMN, 120, 150), AUTUMN, 30), ["00:00", "01:00"]);
}

#[test]
fn working_minutes_count_the_hours_that_pass() {
    for (day, noon, expected) in [(SPRING, "2027-03-28T12:00:00Z", 300), (AUTUMN, "2027-10-31T12:00:00Z", 420)] {
        let salon = salon_open(day, 0, 360);
        let shares = day_shares(slot(noon, 60), &salon.staff[&BEA].availability, &salon.zone);
        assert_eq!(shares, [DayShare { date: day, booked_minutes: 60, working_minutes: expected }]);
    }
}

#[test]
fn days_have_the_length_that_the_zone_gives_them() {
    let zone = salon().zone;
    let lengths = |start| local_days(slot(start, 1), &zone).map(|(_, day)| day.minutes() / 60).collect::<Vec<_>>();
    assert_eq!(lengths("2027-03-28T12:00:00Z"), [23]);
    assert_eq!(lengths("2027-10-31T12:00:00Z"), [25]);
    // Samoa crossed the date line: 2011-12-30 never was.
    let apia = jiff::tz::TimeZone::get("Pacific/Apia").unwrap();
    let days: Vec<Date> = local_days(slot("2011-12-29T12:00:00-10:00", 24 * 60), &apia).map(|(date, _)| date).collect();
    assert_eq!(days, [date(2011, 12, 29), date(2011, 12, 31)]);
}

#[test]
fn hours_up_to_midnight_go_on_into_the_next_day() {
    let mut salon = salon_open(SPRING, 0, 60);
    let availability = &mut salon.staff.get_mut(&BEA).unwrap().availability;
    availability.exceptions.insert(date(2027, 3, 27), vec![LocalInterval { start_minute: 1380, end_minute: 1440 }]);
    let over_midnight = slot("2027-03-27T23:30:00+01:00", 60);
    let windows = WorkingWindows::within(over_midnight.widened(600, 600), availability, &salon.zone);
    assert_eq!(windows.check(over_midnight), Ok(()));
    assert_eq!(windows.minutes(), 120);
}
