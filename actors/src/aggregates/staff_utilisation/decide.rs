use crate::aggregate::Decision;
use crate::ids::{BookingId, ServiceId, StaffId};
use crate::reference::{Service, StaffMember, TenantReference};
use crate::refusal::Refusal;
use crate::time::Slot;

use super::availability::{Openings, is_qualified};
use super::{
    Buffers, Calendar, ReleaseReason, SlotMoved, SlotReleased, SlotReserved, StaffCommand, StaffRefusal,
    StaffUtilisationEvent, WorkingWindows, day_shares,
};

type Decided = Result<Decision<StaffUtilisationEvent>, Refusal>;

pub(super) fn decide(calendar: &Calendar, command: &StaffCommand, reference: &TenantReference) -> Decided {
    match *command {
        StaffCommand::Reserve { staff_id, booking_id, service_id, slot } => {
            reserve(calendar, reference, staff_id, booking_id, service_id, slot)
        }
        StaffCommand::Move { staff_id, booking_id, service_id, from, to } => {
            relocate(calendar, reference, staff_id, booking_id, service_id, from, to)
        }
        StaffCommand::Release { staff_id, booking_id, slot, reason } => {
            Ok(release(calendar, reference, staff_id, booking_id, slot, reason))
        }
    }
}

fn reserve(
    calendar: &Calendar,
    reference: &TenantReference,
    staff_id: StaffId,
    booking_id: BookingId,
    service_id: ServiceId,
    slot: Slot,
) -> Decided {
    let member = active_member(reference, staff_id)?;
    let service = known_service(reference, service_id)?;
    if !service.active {
        return Err(Refusal::NotFound("service"));
    }
    if !is_qualified(service, staff_id) {
        return Err(StaffRefusal::NotQualified.into());
    }
    if calendar.reservation(booking_id).is_some() {
        return Err(StaffRefusal::AlreadyReserved.into());
    }
    let buffers = Buffers::of(service);
    let windows = WorkingWindows::within(slot, &member.availability, &reference.zone);
    Openings { calendar, windows, buffers, moving: None }.check(slot)?;
    Ok(Decision::event(StaffUtilisationEvent::Reserved(SlotReserved {
        booking_id,
        service_id: Some(service_id),
        slot,
        buffer_before_minutes: buffers.before_minutes,
        buffer_after_minutes: buffers.after_minutes,
        days: day_shares(slot, &member.availability, &reference.zone),
    })))
}

/// What was booked stays movable: neither the qualification nor whether the service is still offered is asked again.
fn relocate(
    calendar: &Calendar,
    reference: &TenantReference,
    staff_id: StaffId,
    booking_id: BookingId,
    service_id: Option<ServiceId>,
    from: Slot,
    to: Slot,
) -> Decided {
    let member = active_member(reference, staff_id)?;
    let buffers = match service_id {
        Some(service_id) => Buffers::of(known_service(reference, service_id)?),
        None => Buffers::default(),
    };
    let held = calendar.slot_of(booking_id, from);
    if held == Some(to) {
        return Ok(Decision::nothing());
    }
    let windows = WorkingWindows::within(to, &member.availability, &reference.zone);
    Openings { calendar, windows, buffers, moving: Some(booking_id) }.check(to)?;
    let shares = |slot| day_shares(slot, &member.availability, &reference.zone);
    Ok(Decision::event(StaffUtilisationEvent::Moved(SlotMoved {
        booking_id,
        service_id,
        from: held.unwrap_or(from),
        to,
        buffer_before_minutes: buffers.before_minutes,
        buffer_after_minutes: buffers.after_minutes,
        days_from: held.map(shares).unwrap_or_default(),
        days_to: shares(to),
    })))
}

/// Never refused, whoever has left meanwhile: a booking can always end.
fn release(
    calendar: &Calendar,
    reference: &TenantReference,
    staff_id: StaffId,
    booking_id: BookingId,
    slot: Slot,
    reason: ReleaseReason,
) -> Decision<StaffUtilisationEvent> {
    let Some(slot) = calendar.slot_of(booking_id, slot) else {
        return Decision::nothing();
    };
    let lost = match reason {
        ReleaseReason::Completed => Vec::new(),
        ReleaseReason::Cancelled | ReleaseReason::NoShow => {
            let availability = reference.staff.get(&staff_id).map(|member| member.availability.clone());
            day_shares(slot, &availability.unwrap_or_default(), &reference.zone)
        }
    };
    Decision::event(StaffUtilisationEvent::Released(SlotReleased { booking_id, slot, reason, days: lost }))
}

fn active_member(reference: &TenantReference, staff_id: StaffId) -> Result<&StaffMember, Refusal> {
    reference.staff.get(&staff_id).filter(|member| member.active).ok_or(Refusal::NotFound("staff"))
}

fn known_service(reference: &TenantReference, service_id: ServiceId) -> Result<&Service, Refusal> {
    reference.services.get(&service_id).ok_or(Refusal::NotFound("service"))
}
