use jiff::civil::date;

use super::*;
use crate::refusal::Refusal;
use crate::testing::{ANNA, BEA, COLOUR, MASSAGE, context, salon, slot};

/// A Monday.
const NINE: &str = "2027-03-08T09:00:00+01:00";

#[test]
fn a_free_slot_is_reserved_with_its_share_of_the_day() {
    let wanted = slot(NINE, 90);
    Staff::nothing().when(&reserve(BEA, 1, COLOUR, wanted), &context(salon()), now()).then_events([
        StaffUtilisationEvent::Reserved(SlotReserved {
            booking_id: booking_id(1),
            service_id: Some(COLOUR),
            slot: wanted,
            buffer_before_minutes: 10,
            buffer_after_minutes: 15,
            days: vec![DayShare { date: date(2027, 3, 8), booked_minutes: 90, working_minutes: 480 }],
        }),
    ]);
}

#[test]
fn a_slot_over_midnight_counts_on_both_days() {
    let wanted = slot("2027-03-08T23:30:00+01:00", 60);
    Staff::nothing().when(&reserve(ANNA, 1, HAIRCUT, wanted), &context(salon()), now()).then_events([
        StaffUtilisationEvent::Reserved(SlotReserved {
            days: [8, 9]
                .map(|day| DayShare { date: date(2027, 3, day), booked_minutes: 30, working_minutes: 0 })
                .into(),
            ..reserved(1, wanted)
        }),
    ]);
}

#[test]
fn the_shares_of_a_slot_with_odd_seconds_add_up_to_its_minutes() {
    let odd = slot("2027-03-08T23:29:40+01:00", 60);
    let shares = day_shares(odd, &Default::default(), &salon().zone);
    assert_eq!(shares.iter().map(|share| share.booked_minutes).collect::<Vec<_>>(), [30, 30]);
}

#[test]
fn time_off_is_no_working_time() {
    let mut salon = salon();
    salon.staff.get_mut(&BEA).unwrap().availability.time_off = vec![slot("2027-03-08T15:00:00+01:00", 600)];
    let shares = day_shares(slot(NINE, 60), &salon.staff[&BEA].availability, &salon.zone);
    assert_eq!(shares, [DayShare { date: date(2027, 3, 8), booked_minutes: 60, working_minutes: 300 }]);
}

#[test]
fn whoever_is_unknown_or_has_left_is_not_found() {
    let mut salon = salon();
    let unknown = StaffId(booking_id(99).0);
    salon.staff.get_mut(&ANNA).unwrap().active = false;
    salon.services.get_mut(&COLOUR).unwrap().active = false;
    let context = context(salon);
    for (staff_id, service_id, what) in [
        (unknown, HAIRCUT, "staff"),
        (ANNA, HAIRCUT, "staff"),
        (BEA, ServiceId(unknown.0), "service"),
        (BEA, COLOUR, "service"),
    ] {
        let command = reserve(staff_id, 1, service_id, slot(NINE, 60));
        Staff::nothing().when(&command, &context, now()).then_refused(Refusal::NotFound(what));
    }
}

#[test]
fn only_the_qualified_perform_a_service() {
    let context = context(salon());
    let massage = |staff_id| reserve(staff_id, 1, MASSAGE, slot(NINE, 30));
    Staff::nothing().when(&massage(ANNA), &context, now()).then_refused(StaffRefusal::NotQualified);
    assert!(Staff::nothing().when(&massage(BEA), &context, now()).answer.is_ok());
}

#[test]
fn a_slot_lies_within_working_hours_as_a_whole() {
    let context = context(salon());
    for (start, fits) in [
        ("2027-03-08T08:59:00+01:00", false),
        (NINE, true),
        ("2027-03-08T11:00:00+01:00", true),
        ("2027-03-08T11:01:00+01:00", false),
        ("2027-03-08T12:30:00+01:00", false),
        ("2027-03-08T17:00:00+01:00", true),
        ("2027-03-08T17:01:00+01:00", false),
        ("2027-03-07T09:00:00+01:00", false),
    ] {
        let then = Staff::nothing().when(&reserve(BEA, 1, HAIRCUT, slot(start, 60)), &context, now());
        let expected = if fits { None } else { Some(StaffRefusal::OutsideWorkingHours.into()) };
        assert_eq!(then.answer.err(), expected, "{start}");
    }
}

#[test]
fn a_days_exception_replaces_its_hours() {
    let mut salon = salon();
    let morning = crate::reference::LocalInterval { start_minute: 360, end_minute: 480 };
    for staff_id in [ANNA, BEA] {
        let exceptions = &mut salon.staff.get_mut(&staff_id).unwrap().availability.exceptions;
        exceptions.insert(date(2027, 3, 8), vec![morning]);
        exceptions.insert(date(2027, 3, 9), Vec::new());
    }
    let context = context(salon);
    let closed = [NINE, "2027-03-09T09:00:00+01:00"];
    for staff_id in [ANNA, BEA] {
        for start in closed {
            let command = reserve(staff_id, 1, HAIRCUT, slot(start, 60));
            Staff::nothing().when(&command, &context, now()).then_refused(StaffRefusal::OutsideWorkingHours);
        }
        let early = reserve(staff_id, 1, HAIRCUT, slot("2027-03-08T06:30:00+01:00", 60));
        assert!(Staff::nothing().when(&early, &context, now()).answer.is_ok());
    }
}

#[test]
fn nobody_is_booked_in_time_off() {
    let mut salon = salon();
    salon.staff.get_mut(&ANNA).unwrap().availability.time_off =
        vec![slot("2027-03-08T06:00:00+01:00", 60), slot("2027-03-08T10:00:00+01:00", 30)];
    let context = context(salon);
    let at = |start| Staff::nothing().when(&reserve(ANNA, 1, HAIRCUT, slot(start, 60)), &context, now());
    at("2027-03-08T09:01:00+01:00").then_refused(StaffRefusal::TimeOff);
    at("2027-03-08T10:29:00+01:00").then_refused(StaffRefusal::TimeOff);
    assert!(at(NINE).answer.is_ok());
    assert!(at("2027-03-08T10:30:00+01:00").answer.is_ok());
}

#[test]
fn a_taken_slot_and_its_buffers_are_refused() {
    let context = context(salon());
    let colour = SlotReserved {
        service_id: Some(COLOUR),
        buffer_before_minutes: 10,
        buffer_after_minutes: 15,
        ..reserved(1, slot("2027-03-08T12:00:00+01:00", 90))
    };
    let taken = on_calendar([colour]);
    let at = |start, minutes, service_id| {
        taken.clone().when(&reserve(ANNA, 2, service_id, slot(start, minutes)), &context, now())
    };
    at("2027-03-08T11:01:00+01:00", 60, HAIRCUT).then_refused(StaffRefusal::SlotTaken);
    at("2027-03-08T13:29:00+01:00", 60, HAIRCUT).then_refused(StaffRefusal::SlotTaken);
    at("2027-03-08T10:51:00+01:00", 60, HAIRCUT).then_refused(StaffRefusal::BufferHit);
    at("2027-03-08T13:44:00+01:00", 60, HAIRCUT).then_refused(StaffRefusal::BufferHit);
    assert!(at("2027-03-08T10:50:00+01:00", 60, HAIRCUT).answer.is_ok());
    assert!(at("2027-03-08T13:45:00+01:00", 60, HAIRCUT).answer.is_ok());
    // The buffers of both count: 15 minutes after the one, 10 before the other.
    at("2027-03-08T13:54:00+01:00", 90, COLOUR).then_refused(StaffRefusal::BufferHit);
    assert!(at("2027-03-08T13:55:00+01:00", 90, COLOUR).answer.is_ok());
}

#[test]
fn a_taken_slot_outweighs_a_buffer() {
    let neighbours = [reserved(1, slot(NINE, 60)), reserved(2, slot("2027-03-08T11:30:00+01:00", 60))];
    let wanted = reserve(ANNA, 3, COLOUR, slot("2027-03-08T10:05:00+01:00", 90));
    on_calendar(neighbours).when(&wanted, &context(salon()), now()).then_refused(StaffRefusal::SlotTaken);
}

#[test]
fn a_booking_holds_one_slot_of_a_person() {
    let again = reserve(ANNA, 1, HAIRCUT, slot("2027-03-09T09:00:00+01:00", 60));
    let context = context(salon());
    on_calendar([reserved(1, slot(NINE, 60))])
        .when(&again, &context, now())
        .then_refused(StaffRefusal::AlreadyReserved);
}

#[test]
fn what_was_brought_in_may_overlap_and_still_counts() {
    let long = reserved(1, slot("2027-03-05T09:00:00+01:00", 6 * 24 * 60));
    let inside = reserved(2, slot("2027-03-06T09:00:00+01:00", 60));
    let wanted = reserve(ANNA, 3, HAIRCUT, slot(NINE, 60));
    on_calendar([long, inside]).when(&wanted, &context(salon()), now()).then_refused(StaffRefusal::SlotTaken);
}
