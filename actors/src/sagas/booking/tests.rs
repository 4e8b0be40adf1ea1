use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::*;
use crate::aggregates::loyalty_balance::LoyaltyCommand;
use crate::aggregates::staff_utilisation::{ReleaseReason, StaffCommand};
use crate::command::Command;
use crate::envelope::{Caller, Role};
use crate::ids::{BookingId, CustomerId, ServiceId, StaffId, TenantId, UserId};
use crate::money::{Currency, Money};
use crate::reference::{LoyaltyRules, Service, StaffAvailability, StaffMember, TenantReference};
use crate::time::{DAY_MS, Slot};

const BOOKING: BookingId = BookingId(Uuid::from_u128(1));
const STAFF: StaffId = StaffId(Uuid::from_u128(2));
const STAFF_GONE: StaffId = StaffId(Uuid::from_u128(3));
const SERVICE: ServiceId = ServiceId(Uuid::from_u128(4));
const SERVICE_GONE: ServiceId = ServiceId(Uuid::from_u128(5));
const CUSTOMER: CustomerId = CustomerId(Uuid::from_u128(6));
const STRANGER: CustomerId = CustomerId(Uuid::from_u128(7));
const PRICE: Money = Money { currency: Currency::Chf, amount: 89_00 };

fn now() -> Timestamp {
    "2030-01-07T08:00:00Z".parse().expect("a time")
}

/// Starts that many minutes from now; the service takes 60.
fn slot_in(minutes: i64, length: i64) -> Slot {
    let start = now().plus_minutes(minutes);
    Slot::new(start, start.plus_minutes(length)).expect("not empty")
}

fn context(role: Role) -> Context {
    let service = |id, active| Service {
        id,
        name: "Haarschnitt".to_owned(),
        duration_minutes: 60,
        price: PRICE,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        active,
        qualified: None,
    };
    let member = |id, active| StaffMember {
        id,
        user_id: None,
        display_name: "Mia".to_owned(),
        color: "#336699".to_owned(),
        active,
        availability: StaffAvailability::default(),
    };
    let reference = TenantReference {
        tenant_id: TenantId(Uuid::from_u128(9)),
        slug: "aare".to_owned(),
        name: "Salon Aare".to_owned(),
        zone: TimeZone::get("Europe/Zurich").expect("bundled"),
        stage: crate::stage::Stage::Scale,
        horizon_days: Some(30),
        loyalty: LoyaltyRules::default(),
        services: HashMap::from([(SERVICE, service(SERVICE, true)), (SERVICE_GONE, service(SERVICE_GONE, false))]),
        staff: HashMap::from([(STAFF, member(STAFF, true)), (STAFF_GONE, member(STAFF_GONE, false))]),
        products: HashMap::new(),
        members: HashMap::new(),
        revocations: HashMap::new(),
    };
    // A customer's user id is the customer id.
    Context { reference: Arc::new(reference), caller: Caller { user_id: UserId(CUSTOMER.0), role } }
}

fn create(slot: Slot, price: Money) -> BookingCommand {
    let (booking_id, staff_id, service_id, customer_id) = (BOOKING, STAFF, SERVICE, CUSTOMER);
    BookingCommand::Create { booking_id, staff_id, service_id, customer_id, slot, price }
}

fn reschedule(slot: Slot) -> BookingCommand {
    BookingCommand::Reschedule { booking_id: BOOKING, slot }
}

fn cancel() -> BookingCommand {
    BookingCommand::Cancel { booking_id: BOOKING, waive_fee: true, reason_recorded: true }
}

/// Every step after the creation, with the name that its refusal gives it.
fn steps() -> [(BookingCommand, &'static str); 6] {
    [
        (cancel(), "cancelled"),
        (reschedule(slot_in(120, 60)), "rescheduled"),
        (BookingCommand::Confirm, "confirmed"),
        (BookingCommand::CheckIn, "checked in"),
        (BookingCommand::Complete { booking_id: BOOKING }, "completed"),
        (BookingCommand::MarkNoShow { booking_id: BOOKING }, "marked as no-show"),
    ]
}

fn booked(status: BookingStatus) -> BookingSaga {
    let mut saga = BookingSaga::default();
    let decision = decide(&saga, &create(slot_in(60, 60), PRICE), Role::Staff).expect("created");
    decision.events.iter().for_each(|event| saga.evolve(event, now()));
    saga.details.as_mut().expect("booked").status = status;
    saga
}

fn decide(saga: &BookingSaga, command: &BookingCommand, role: Role) -> Result<Decision<BookingEvent>, Refusal> {
    saga.decide(command, &context(role), now())
}

fn refused_field(saga: &BookingSaga, command: &BookingCommand, role: Role) -> Option<&'static str> {
    match decide(saga, command, role) {
        Err(Refusal::Invalid { field, .. }) => Some(field),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn each_status_allows_what_the_contract_says_and_nothing_else() {
    use BookingStatus::*;
    let allowed: [(BookingStatus, &[&str]); 7] = [
        (Pending, &["cancelled"]),
        (Scheduled, &["cancelled", "rescheduled", "confirmed", "checked in", "marked as no-show"]),
        (Confirmed, &["cancelled", "rescheduled", "checked in", "marked as no-show"]),
        (CheckedIn, &["completed", "marked as no-show"]),
        (Completed, &[]),
        (NoShow, &[]),
        (Cancelled, &[]),
    ];
    assert_eq!(allowed.map(|(status, _)| status), BookingStatus::ALL);
    for (from, allowed) in allowed {
        for (command, wanted) in steps() {
            let answer = decide(&booked(from), &command, Role::Staff);
            if allowed.contains(&wanted) {
                assert_eq!(answer.map(|decision| decision.events.len()), Ok(1), "{from:?} → {wanted}");
            } else {
                assert_eq!(answer, Err(BookingRefusal::IllegalTransition { from, wanted }.into()));
            }
        }
        let again = decide(&booked(from), &create(slot_in(60, 60), PRICE), Role::Staff);
        assert_eq!(again, Err(BookingRefusal::AlreadyExists.into()));
    }
}

#[test]
fn each_step_asks_the_calendar_and_completion_the_points_first() {
    let slot = slot_in(60, 60);
    let release = |reason| {
        let release = StaffCommand::Release { staff_id: STAFF, booking_id: BOOKING, slot, reason };
        Command::StaffUtilisation(STAFF, release)
    };
    let to = slot_in(120, 60);
    let shift = StaffCommand::Move { staff_id: STAFF, booking_id: BOOKING, service_id: Some(SERVICE), from: slot, to };
    let accrue = LoyaltyCommand::Accrue { booking_id: BOOKING, paid: PRICE };
    let accrue = Command::LoyaltyBalance(CUSTOMER, accrue);
    let asked = [
        (BookingStatus::Scheduled, vec![release(ReleaseReason::Cancelled)]),
        (BookingStatus::Scheduled, vec![Command::StaffUtilisation(STAFF, shift)]),
        (BookingStatus::Scheduled, vec![]),
        (BookingStatus::Scheduled, vec![]),
        (BookingStatus::CheckedIn, vec![accrue, release(ReleaseReason::Completed)]),
        (BookingStatus::Scheduled, vec![release(ReleaseReason::NoShow)]),
    ];
    for ((from, requests), (command, wanted)) in asked.into_iter().zip(steps()) {
        let decision = decide(&booked(from), &command, Role::Staff).expect(wanted);
        assert_eq!(decision.requests, requests, "{wanted}");
    }
    let reserve = StaffCommand::Reserve { staff_id: STAFF, booking_id: BOOKING, service_id: SERVICE, slot };
    let created = decide(&BookingSaga::default(), &create(slot, PRICE), Role::Service).expect("created");
    assert_eq!(created.requests, [Command::StaffUtilisation(STAFF, reserve)]);
}

#[test]
fn without_customer_or_price_completion_earns_nothing() {
    let earns = |change: fn(&mut BookingDetails)| {
        let mut saga = booked(BookingStatus::CheckedIn);
        change(saga.details.as_mut().expect("booked"));
        let complete = BookingCommand::Complete { booking_id: BOOKING };
        decide(&saga, &complete, Role::Staff).expect("completed").requests.len() == 2
    };
    assert!(earns(|_| ()));
    assert!(!earns(|booking| booking.customer_id = None));
    assert!(!earns(|booking| booking.price.amount = 0));
}

#[test]
fn times_have_limits_whoever_asks() {
    let edges = [
        (slot_in(-5, 60), None),
        (slot_in(-6, 60), Some("slotStart")),
        (slot_in(60, 24 * 60), None),
        (slot_in(60, 24 * 60 + 1), Some("slotEnd")),
        (slot_in(30 * 24 * 60, 60), None),
        (slot_in(30 * 24 * 60 + 1, 60), Some("slotStart")),
    ];
    for (slot, field) in edges {
        assert_eq!(refused_field(&BookingSaga::default(), &create(slot, PRICE), Role::Service), field, "{slot:?}");
        let saga = booked(BookingStatus::Confirmed);
        assert_eq!(refused_field(&saga, &reschedule(slot), Role::Service), field, "{slot:?}");
    }
    let mut unlimited = context(Role::Service);
    Arc::get_mut(&mut unlimited.reference).expect("not shared").horizon_days = None;
    let in_days = |days: i64| create(slot_in(days * DAY_MS / 60_000, 60), PRICE);
    assert!(BookingSaga::default().decide(&in_days(10 * 365), &unlimited, now()).is_ok());
    assert!(BookingSaga::default().decide(&in_days(11 * 365), &unlimited, now()).is_err());
}

#[test]
fn a_customer_takes_length_and_price_as_they_are() {
    let fresh = BookingSaga::default();
    let cheaper = Money { amount: 80_00, ..PRICE };
    let euros = Money { currency: Currency::Eur, ..PRICE };
    let offers = [
        (create(slot_in(60, 60), PRICE), None),
        (create(slot_in(60, 45), PRICE), Some("slotEnd")),
        (create(slot_in(60, 60), cheaper), Some("price")),
        (create(slot_in(60, 60), euros), Some("price")),
    ];
    for (command, field) in offers {
        assert_eq!(refused_field(&fresh, &command, Role::Customer), field, "{command:?}");
        for role in [Role::Staff, Role::Manager, Role::Owner, Role::Service] {
            assert_eq!(refused_field(&fresh, &command, role), None, "{command:?}");
        }
    }
    let negative = create(slot_in(60, 60), Money { amount: -1, ..PRICE });
    for role in Role::ALL {
        assert_eq!(refused_field(&fresh, &negative, role), Some("price.amount"));
    }
    let saga = booked(BookingStatus::Scheduled);
    assert_eq!(refused_field(&saga, &reschedule(slot_in(60, 61)), Role::Customer), Some("slotEnd"));
    assert_eq!(refused_field(&saga, &reschedule(slot_in(90, 60)), Role::Customer), None);
}

#[test]
fn a_customer_books_and_sees_the_own_bookings_only() {
    let fresh = BookingSaga::default();
    let mut for_stranger = create(slot_in(60, 60), PRICE);
    if let BookingCommand::Create { customer_id, .. } = &mut for_stranger {
        *customer_id = STRANGER;
    }
    assert_eq!(decide(&fresh, &for_stranger, Role::Customer), Err(BookingRefusal::NotOwnCustomer.into()));
    assert!(decide(&fresh, &for_stranger, Role::Service).is_ok());

    let mut foreign = booked(BookingStatus::Cancelled);
    let mut anonymous = foreign.clone();
    foreign.details.as_mut().expect("booked").customer_id = Some(STRANGER);
    anonymous.details.as_mut().expect("booked").customer_id = None;
    for (command, wanted) in steps() {
        for unseen in [&fresh, &foreign, &anonymous] {
            assert_eq!(decide(unseen, &command, Role::Customer), Err(Refusal::NotFound("booking")), "{wanted}");
        }
        assert_eq!(decide(&fresh, &command, Role::Owner), Err(Refusal::NotFound("booking")), "{wanted}");
    }
    assert!(decide(&booked(BookingStatus::Scheduled), &cancel(), Role::Customer).is_ok());
}

#[test]
fn service_and_staff_must_exist_and_be_active() {
    let wanting = |staff_id, service_id| {
        let (booking_id, customer_id, slot, price) = (BOOKING, CUSTOMER, slot_in(60, 60), PRICE);
        let command = BookingCommand::Create { booking_id, staff_id, service_id, customer_id, slot, price };
        decide(&BookingSaga::default(), &command, Role::Staff)
    };
    for service_id in [SERVICE_GONE, ServiceId(Uuid::nil())] {
        assert_eq!(wanting(STAFF, service_id), Err(Refusal::NotFound("service")));
    }
    for staff_id in [STAFF_GONE, StaffId(Uuid::nil())] {
        assert_eq!(wanting(staff_id, SERVICE), Err(Refusal::NotFound("staff")));
    }
}

#[test]
fn a_booking_is_the_fold_of_its_events() {
    let mut saga = booked(BookingStatus::Scheduled);
    let later = |minutes| now().plus_minutes(minutes);
    let to = slot_in(180, 60);
    let mut after = |event: BookingEvent, minutes| {
        saga.evolve(&event, later(minutes));
        let booking = saga.details.clone().expect("booked");
        assert_eq!((booking.created_at, booking.updated_at), (now(), later(minutes)));
        booking
    };
    let moved = BookingRescheduled { from: slot_in(60, 60), to, day: to.start.date_in(&TimeZone::UTC) };
    let booking = after(BookingEvent::Rescheduled(moved), 1);
    assert_eq!((booking.slot, booking.moved, booking.status), (to, true, BookingStatus::Scheduled));
    let booking = after(BookingEvent::Confirmed(BookingConfirmed {}), 2);
    assert_eq!(booking.status, BookingStatus::Confirmed);
    assert_eq!(after(BookingEvent::CheckedIn(BookingCheckedIn {}), 3).status, BookingStatus::CheckedIn);
    assert_eq!(after(BookingEvent::Completed(BookingCompleted {}), 4).status, BookingStatus::Completed);
    assert_eq!(after(BookingEvent::NoShow(BookingNoShow {}), 5).status, BookingStatus::NoShow);
    let cancelled = BookingCancelled { waive_fee: false, reason_recorded: true };
    let booking = after(BookingEvent::Cancelled(cancelled), 6);
    assert_eq!((booking.status, booking.reason_recorded), (BookingStatus::Cancelled, true));

    let mut unborn = BookingSaga::default();
    unborn.evolve(&BookingEvent::Confirmed(BookingConfirmed {}), now());
    assert_eq!(unborn, BookingSaga::default());
}

#[test]
fn the_saga_row_shows_the_booking_and_a_snapshot_comes_back_as_it_was() {
    assert_eq!(BookingSaga::default().saga_state(), None);
    let saga = booked(BookingStatus::CheckedIn);
    let row = saga.saga_state().expect("a row");
    assert_eq!(row.status, "checked_in");
    let json: serde_json::Value = serde_json::from_str(&row.state).expect("JSON");
    let expected = serde_json::json!({
        "staffId": STAFF, "serviceId": SERVICE, "customerId": CUSTOMER,
        "slotStart": "2030-01-07T09:00:00.000Z", "slotEnd": "2030-01-07T10:00:00.000Z",
        "status": "checked_in", "price": { "currency": "CHF", "amount": 8900 },
        "moved": false, "reasonRecorded": false,
        "createdAt": "2030-01-07T08:00:00.000Z", "updatedAt": "2030-01-07T08:00:00.000Z",
    });
    assert_eq!(json, expected);
    assert_eq!(BookingDetails::read_saga_state(row.state.as_bytes()).ok(), saga.details);
    let emptied = row.state.replace("10:00:00.000Z", "09:00:00.000Z");
    assert!(BookingDetails::read_saga_state(emptied.as_bytes()).is_err(), "the slot is empty");

    let bytes = rmp_serde::to_vec(&saga).expect("encodes");
    assert_eq!(rmp_serde::from_slice::<BookingSaga>(&bytes).expect("decodes"), saga);
}
