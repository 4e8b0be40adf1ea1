use crate::ids::{BookingId, CustomerId, ServiceId, StaffId};
use crate::money::Money;
use crate::time::Slot;

use super::state::BookingStatus;

/// A step that asks something of another aggregate names the booking: the state doesn't know its own id.
#[derive(Debug, Clone, PartialEq)]
pub enum BookingCommand {
    Create {
        booking_id: BookingId,
        staff_id: StaffId,
        service_id: ServiceId,
        customer_id: CustomerId,
        slot: Slot,
        price: Money,
    },
    Reschedule {
        booking_id: BookingId,
        slot: Slot,
    },
    Confirm,
    CheckIn,
    Complete {
        booking_id: BookingId,
    },
    MarkNoShow {
        booking_id: BookingId,
    },
    /// The reason itself is free text and goes to the vault.
    Cancel {
        booking_id: BookingId,
        waive_fee: bool,
        reason_recorded: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookingRefusal {
    #[error("a booking that is {} can't be {wanted}", from.as_str())]
    IllegalTransition { from: BookingStatus, wanted: &'static str },
    #[error("the booking exists already")]
    AlreadyExists,
    /// Not allowed, rather than not there: the caller named somebody else.
    #[error("a customer books only for themselves")]
    NotOwnCustomer,
}
