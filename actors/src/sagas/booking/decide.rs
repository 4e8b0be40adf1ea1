use crate::aggregate::{Context, Decision};
use crate::aggregates::loyalty_balance::LoyaltyCommand;
use crate::aggregates::staff_utilisation::{ReleaseReason, StaffCommand};
use crate::command::Command;
use crate::envelope::Role;
use crate::ids::{BookingId, ServiceId, StaffId};
use crate::money::Money;
use crate::reference::{Service, TenantReference};
use crate::refusal::Refusal;
use crate::time::{DAY_MS, Slot, Timestamp};

use super::commands::{BookingCommand, BookingRefusal};
use super::events::{
    BookingCancelled, BookingCheckedIn, BookingCompleted, BookingConfirmed, BookingEvent, BookingNoShow,
    BookingRescheduled, BookingScheduled,
};
use super::state::BookingStatus::{CheckedIn, Confirmed, Pending, Scheduled};
use super::state::{BookingDetails, BookingSaga, BookingStatus};

/// A slot may have begun this long ago: a front-end's clock is never quite ours.
const PAST_GRACE_MINUTES: i64 = 5;

pub(super) fn decide(
    saga: &BookingSaga,
    command: &BookingCommand,
    context: &Context,
    now: Timestamp,
) -> Result<Decision<BookingEvent>, Refusal> {
    let booking_in = |allowed: &[BookingStatus], wanted| booking_in(saga, context, allowed, wanted);
    match *command {
        BookingCommand::Create { booking_id, staff_id, service_id, customer_id, slot, price } => {
            if saga.details.is_some() {
                return Err(BookingRefusal::AlreadyExists.into());
            }
            if context.caller.own_customer().is_some_and(|own| own != customer_id) {
                return Err(BookingRefusal::NotOwnCustomer.into());
            }
            let service = active_service(&context.reference, service_id)?;
            check_staff(&context.reference, staff_id)?;
            check_slot(slot, &context.reference, now)?;
            check_terms(slot, price, service, context)?;
            let (service_id, customer_id) = (Some(service_id), Some(customer_id));
            let day = slot.start.date_in(&context.reference.zone);
            let scheduled = BookingScheduled { staff_id, service_id, customer_id, slot, day, price };
            let reserve = StaffCommand::Reserve { staff_id, booking_id, service_id: service.id, slot };
            Ok(Decision::event(BookingEvent::Scheduled(scheduled)).asking(Command::StaffUtilisation(staff_id, reserve)))
        }
        BookingCommand::Reschedule { booking_id, slot: to } => {
            let booking = booking_in(&[Scheduled, Confirmed], "rescheduled")?;
            check_slot(to, &context.reference, now)?;
            let service = booking.service_id.and_then(|id| context.reference.services.get(&id));
            if let Some(service) = service {
                check_length(to, service, context)?;
            }
            let (staff_id, service_id, from) = (booking.staff_id, booking.service_id, booking.slot);
            let shift = StaffCommand::Move { staff_id, booking_id, service_id, from, to };
            let day = to.start.date_in(&context.reference.zone);
            let rescheduled = BookingEvent::Rescheduled(BookingRescheduled { from, to, day });
            Ok(Decision::event(rescheduled).asking(Command::StaffUtilisation(staff_id, shift)))
        }
        BookingCommand::Confirm => {
            booking_in(&[Scheduled], "confirmed")?;
            Ok(Decision::event(BookingEvent::Confirmed(BookingConfirmed {})))
        }
        BookingCommand::CheckIn => {
            booking_in(&[Scheduled, Confirmed], "checked in")?;
            Ok(Decision::event(BookingEvent::CheckedIn(BookingCheckedIn {})))
        }
        BookingCommand::Complete { booking_id } => {
            let booking = booking_in(&[CheckedIn], "completed")?;
            let mut decision = Decision::event(BookingEvent::Completed(BookingCompleted {}));
            decision.requests.extend(accrual(booking_id, booking));
            Ok(decision.asking(release(booking_id, booking, ReleaseReason::Completed)))
        }
        BookingCommand::MarkNoShow { booking_id } => {
            let booking = booking_in(&[Scheduled, Confirmed, CheckedIn], "marked as no-show")?;
            let no_show = Decision::event(BookingEvent::NoShow(BookingNoShow {}));
            Ok(no_show.asking(release(booking_id, booking, ReleaseReason::NoShow)))
        }
        BookingCommand::Cancel { booking_id, waive_fee, reason_recorded } => {
            let booking = booking_in(&[Pending, Scheduled, Confirmed], "cancelled")?;
            let cancelled = BookingEvent::Cancelled(BookingCancelled { waive_fee, reason_recorded });
            Ok(Decision::event(cancelled).asking(release(booking_id, booking, ReleaseReason::Cancelled)))
        }
    }
}

/// The booking, if the caller may see it and its status allows what is wanted. To a customer, somebody else's booking
/// doesn't exist.
fn booking_in<'a>(
    saga: &'a BookingSaga,
    context: &Context,
    allowed: &[BookingStatus],
    wanted: &'static str,
) -> Result<&'a BookingDetails, Refusal> {
    let own_customer = context.caller.own_customer();
    let visible = |booking: &&BookingDetails| own_customer.is_none() || booking.customer_id == own_customer;
    let booking = saga.details.as_ref().filter(visible).ok_or(Refusal::NotFound("booking"))?;
    if !allowed.contains(&booking.status) {
        return Err(BookingRefusal::IllegalTransition { from: booking.status, wanted }.into());
    }
    Ok(booking)
}

fn release(booking_id: BookingId, booking: &BookingDetails, reason: ReleaseReason) -> Command {
    let (staff_id, slot) = (booking.staff_id, booking.slot);
    Command::StaffUtilisation(staff_id, StaffCommand::Release { staff_id, booking_id, slot, reason })
}

fn accrual(booking_id: BookingId, booking: &BookingDetails) -> Option<Command> {
    let customer_id = booking.customer_id.filter(|_| booking.price.amount > 0)?;
    Some(Command::LoyaltyBalance(customer_id, LoyaltyCommand::Accrue { booking_id, paid: booking.price }))
}

fn active_service(reference: &TenantReference, service_id: ServiceId) -> Result<&Service, Refusal> {
    reference.services.get(&service_id).filter(|service| service.active).ok_or(Refusal::NotFound("service"))
}

fn check_staff(reference: &TenantReference, staff_id: StaffId) -> Result<(), Refusal> {
    match reference.staff.get(&staff_id) {
        Some(member) if member.active => Ok(()),
        Some(_) | None => Err(Refusal::NotFound("staff")),
    }
}

/// What holds for every slot, whoever asks for it and whatever else there is.
pub fn check_slot(slot: Slot, reference: &TenantReference, now: Timestamp) -> Result<(), Refusal> {
    if slot.start < now.plus_minutes(-PAST_GRACE_MINUTES) {
        return Err(invalid("slotStart", "lies in the past".to_owned()));
    }
    if slot.end > slot.start.plus_millis(DAY_MS) {
        return Err(invalid("slotEnd", "lies more than 24 hours after the start".to_owned()));
    }
    if slot.start > reference.latest_start(now) {
        return Err(invalid("slotStart", format!("lies more than {} days ahead", reference.horizon())));
    }
    Ok(())
}

/// Staff and front-ends agree on length and price as they like; a customer takes what the service says.
fn check_terms(slot: Slot, price: Money, service: &Service, context: &Context) -> Result<(), Refusal> {
    if price.amount < 0 {
        return Err(invalid("price.amount", "must not be negative".to_owned()));
    }
    check_length(slot, service, context)?;
    if context.caller.role == Role::Customer && price != service.price {
        return Err(invalid("price", "is not the price of the service".to_owned()));
    }
    Ok(())
}

fn check_length(slot: Slot, service: &Service, context: &Context) -> Result<(), Refusal> {
    let minutes = service.duration_minutes;
    if context.caller.role == Role::Customer && slot.end != slot.start.plus_minutes(i64::from(minutes)) {
        return Err(invalid(
            "slotEnd",
            format!("must be {minutes} minutes after the start: the service takes that long"),
        ));
    }
    Ok(())
}

fn invalid(field: &'static str, message: String) -> Refusal {
    Refusal::Invalid { field, message }
}
