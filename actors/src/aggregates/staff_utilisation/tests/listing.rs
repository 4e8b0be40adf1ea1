use super::*;
use crate::reference::TenantReference;
use crate::testing::{ANNA, BEA, COLOUR, MASSAGE, salon, slot};

/// The local hour and minute of each listed start on Monday, 2027-03-08, at +01:00.
fn listed(salon: &TenantReference, staff_id: StaffId, service_id: ServiceId, query: SlotQuery) -> Vec<String> {
    let calendar = on_calendar([reserved(1, slot("2027-03-08T10:00:00+01:00", 60))]).state.calendar;
    let (member, service) = (&salon.staff[&staff_id], &salon.services[&service_id]);
    let slots = bookable_slots(&calendar, salon, member, service, &query);
    assert!(slots.iter().all(|slot| slot.minutes() == i64::from(service.duration_minutes)));
    slots.iter().map(|slot| slot.start.plus_minutes(60).to_string()[11..16].to_owned()).collect()
}

fn query(start: &str, hours: i64, granularity_minutes: u32) -> SlotQuery {
    SlotQuery { span: slot(start, hours * 60), granularity_minutes, now: now() }
}

#[test]
fn free_slots_on_the_grid_are_listed() {
    let day = query("2027-03-08T00:00:00+01:00", 24, 60);
    assert_eq!(listed(&salon(), BEA, HAIRCUT, day), ["09:00", "11:00", "13:00", "14:00", "15:00", "16:00", "17:00"]);
    let day = query("2027-03-08T00:00:00+01:00", 24, 45);
    assert_eq!(listed(&salon(), BEA, COLOUR, day), ["13:30", "14:15", "15:00", "15:45", "16:30"]);
}

#[test]
fn the_grid_starts_at_midnight_whatever_is_asked() {
    let odd = query("2027-03-08T08:07:00+01:00", 6, 30);
    assert_eq!(listed(&salon(), BEA, HAIRCUT, odd), ["09:00", "11:00", "13:00"]);
    let odd = query("2027-03-08T11:07:00+01:00", 3, 30);
    assert_eq!(listed(&salon(), ANNA, HAIRCUT, odd), ["11:30", "12:00", "12:30", "13:00"]);
}

#[test]
fn nothing_is_listed_that_has_begun_or_lies_beyond_the_horizon() {
    let mut salon = salon();
    let mut afternoon = query("2027-03-08T13:00:00+01:00", 5, 60);
    afternoon.now = crate::testing::time("2027-03-08T14:00:00.001+01:00");
    assert_eq!(listed(&salon, BEA, HAIRCUT, afternoon), ["15:00", "16:00", "17:00"]);
    salon.horizon_days = Some(7);
    afternoon.now = crate::testing::time("2027-03-01T15:00:00+01:00");
    assert_eq!(listed(&salon, BEA, HAIRCUT, afternoon), ["13:00", "14:00", "15:00"]);
}

#[test]
fn who_can_t_be_booked_has_no_slots() {
    let mut salon = salon();
    let day = query("2027-03-08T00:00:00+01:00", 24, 60);
    assert_eq!(listed(&salon, ANNA, MASSAGE, day), [""; 0]);
    assert_ne!(listed(&salon, BEA, MASSAGE, day), [""; 0]);
    salon.services.get_mut(&MASSAGE).unwrap().active = false;
    assert_eq!(listed(&salon, BEA, MASSAGE, day), [""; 0]);
    salon.staff.get_mut(&BEA).unwrap().active = false;
    assert_eq!(listed(&salon, BEA, HAIRCUT, day), [""; 0]);
    let past = SlotQuery { now: crate::testing::time("2027-03-10T00:00:00Z"), ..day };
    assert_eq!(listed(&salon, ANNA, HAIRCUT, past), [""; 0]);
}
