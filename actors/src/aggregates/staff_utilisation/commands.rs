use crate::ids::{BookingId, ServiceId, StaffId};
use crate::time::Slot;

use super::events::ReleaseReason;

/// What the booking saga asks of a person's calendar.
#[derive(Debug, Clone, PartialEq)]
pub enum StaffCommand {
    Reserve {
        staff_id: StaffId,
        booking_id: BookingId,
        service_id: ServiceId,
        slot: Slot,
    },
    /// `from` comes from the booking, since a slot long past has become a total here.
    Move {
        staff_id: StaffId,
        booking_id: BookingId,
        service_id: Option<ServiceId>,
        from: Slot,
        to: Slot,
    },
    Release {
        staff_id: StaffId,
        booking_id: BookingId,
        slot: Slot,
        reason: ReleaseReason,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StaffRefusal {
    #[error("the slot is taken")]
    SlotTaken,
    #[error("the slot falls into the buffer before or after another booking")]
    BufferHit,
    #[error("the slot lies outside working hours")]
    OutsideWorkingHours,
    #[error("the staff member is off at that time")]
    TimeOff,
    #[error("the staff member does not perform this service")]
    NotQualified,
    #[error("the booking already holds a slot of this staff member")]
    AlreadyReserved,
}
