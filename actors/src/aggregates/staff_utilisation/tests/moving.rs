use jiff::civil::date;

use super::*;
use crate::refusal::Refusal;
use crate::testing::{ANNA, COLOUR, MASSAGE, context, salon, slot};

const NINE: &str = "2027-03-08T09:00:00+01:00";
const TEN: &str = "2027-03-08T10:00:00+01:00";

fn relocate(booking: u128, service_id: Option<ServiceId>, from: Slot, to: Slot) -> StaffCommand {
    StaffCommand::Move { staff_id: ANNA, booking_id: booking_id(booking), service_id, from, to }
}

fn moved(booking: u128, from: Slot, to: Slot) -> SlotMoved {
    SlotMoved {
        booking_id: booking_id(booking),
        service_id: Some(HAIRCUT),
        from,
        to,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        days_from: vec![share(from, 0)],
        days_to: vec![share(to, 0)],
    }
}

#[test]
fn a_booking_moves_over_its_own_slot_but_not_into_others() {
    let context = context(salon());
    let (from, half_past) = (slot(NINE, 60), slot("2027-03-08T09:30:00+01:00", 60));
    let taken = on_calendar([reserved(1, from), reserved(2, slot("2027-03-08T10:30:00+01:00", 60))]);
    taken
        .clone()
        .when(&relocate(1, Some(HAIRCUT), from, half_past), &context, now())
        .then_events([StaffUtilisationEvent::Moved(moved(1, from, half_past))]);
    taken
        .clone()
        .when(&relocate(1, Some(HAIRCUT), from, slot(TEN, 60)), &context, now())
        .then_refused(StaffRefusal::SlotTaken);
    taken
        .when(&relocate(1, Some(COLOUR), from, slot("2027-03-08T08:50:00+01:00", 90)), &context, now())
        .then_refused(StaffRefusal::BufferHit);
}

#[test]
fn a_move_frees_the_old_slot_and_takes_the_new_one() {
    let context = context(salon());
    let (from, to) = (slot(NINE, 60), slot("2027-03-09T09:00:00+01:00", 60));
    let after = on_calendar([reserved(1, from)]).when(&relocate(1, Some(HAIRCUT), from, to), &context, now()).given();
    let days = after.state.days.days(date(2027, 3, 1), date(2027, 4, 1));
    assert_eq!(days.iter().map(|day| day.booked_minutes).collect::<Vec<_>>(), [0, 60]);
    after.clone().when(&reserve(ANNA, 2, HAIRCUT, to), &context, now()).then_refused(StaffRefusal::SlotTaken);
    assert!(after.when(&reserve(ANNA, 2, HAIRCUT, from), &context, now()).answer.is_ok());
}

#[test]
fn a_move_asks_for_the_person_and_the_hours_but_not_what_was_settled_with_the_booking() {
    let (from, to) = (slot(NINE, 60), slot(TEN, 60));
    let booked = on_calendar([reserved(1, from)]);
    let mut changed = salon();
    changed.services.get_mut(&COLOUR).unwrap().active = false;
    changed.staff.get_mut(&ANNA).unwrap().availability.exceptions.insert(date(2027, 3, 9), Vec::new());
    let context_changed = context(changed.clone());
    for service_id in [None, Some(MASSAGE), Some(COLOUR)] {
        let then = booked.clone().when(&relocate(1, service_id, from, to), &context_changed, now());
        assert!(then.answer.is_ok(), "{service_id:?}");
    }
    let closed = relocate(1, None, from, slot("2027-03-09T09:00:00+01:00", 60));
    booked.clone().when(&closed, &context_changed, now()).then_refused(StaffRefusal::OutsideWorkingHours);
    changed.staff.get_mut(&ANNA).unwrap().active = false;
    let gone = relocate(1, Some(HAIRCUT), from, to);
    booked.when(&gone, &context(changed), now()).then_refused(Refusal::NotFound("staff"));
}

#[test]
fn a_booking_without_a_service_needs_no_buffers() {
    let (from, between) = (slot(NINE, 60), slot("2027-03-08T14:00:00+01:00", 60));
    let neighbours = ["2027-03-08T13:00:00+01:00", "2027-03-08T15:00:00+01:00"].map(|start| slot(start, 60));
    let taken = on_calendar([reserved(1, from), reserved(2, neighbours[0]), reserved(3, neighbours[1])]);
    let expected = SlotMoved { service_id: None, ..moved(1, from, between) };
    taken
        .when(&relocate(1, None, from, between), &context(salon()), now())
        .then_events([StaffUtilisationEvent::Moved(expected)]);
}

#[test]
fn a_move_to_where_the_booking_is_changes_nothing() {
    let (before, here) = (slot(NINE, 60), slot(TEN, 60));
    let again = relocate(1, Some(HAIRCUT), before, here);
    on_calendar([reserved(1, here)]).when(&again, &context(salon()), now()).then_nothing();
}

#[test]
fn a_cancelled_slot_is_free_and_its_minutes_are_gone() {
    let context = context(salon());
    let held = slot(NINE, 60);
    for reason in [ReleaseReason::Cancelled, ReleaseReason::NoShow] {
        let then = on_calendar([reserved(1, held)]).when(&release(ANNA, 1, held, reason), &context, now());
        let released = SlotReleased { booking_id: booking_id(1), slot: held, reason, days: vec![share(held, 0)] };
        let after = then.then_events([StaffUtilisationEvent::Released(released)]).given();
        assert_eq!(after.state.days.booked_minutes(), 0);
        assert!(after.when(&reserve(ANNA, 2, HAIRCUT, held), &context, now()).answer.is_ok());
    }
}

#[test]
fn a_completed_slot_is_free_and_its_minutes_stay() {
    let context = context(salon());
    let held = slot(NINE, 60);
    let done = release(ANNA, 1, held, ReleaseReason::Completed);
    let after = on_calendar([reserved(1, held)]).when(&done, &context, now()).given();
    assert_eq!(after.state.days.booked_minutes(), 60);
    assert!(after.when(&reserve(ANNA, 2, HAIRCUT, held), &context, now()).answer.is_ok());
}

#[test]
fn a_booking_ends_also_when_the_person_is_gone() {
    let mut salon = salon();
    salon.staff.clear();
    salon.services.clear();
    let held = slot(NINE, 60);
    let cancel = release(ANNA, 1, held, ReleaseReason::Cancelled);
    let after = on_calendar([reserved(1, held)]).when(&cancel, &context(salon), now()).given();
    assert_eq!((after.state.calendar.reservations().len(), after.state.days.booked_minutes()), (0, 0));
}

#[test]
fn a_second_release_changes_nothing() {
    let context = context(salon());
    let held = slot(NINE, 60);
    let cancel = release(ANNA, 1, held, ReleaseReason::Cancelled);
    let once = on_calendar([reserved(1, held)]).when(&cancel, &context, now()).given();
    once.when(&cancel, &context, now()).then_nothing();
}
