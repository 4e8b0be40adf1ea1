use crate::ids::{CustomerId, ServiceId, StaffId};
use crate::money::Money;
use crate::time::Slot;

use super::state::BookingStatus;

#[derive(Debug, Clone, PartialEq)]
pub enum BookingCommand {
    Create {
        staff_id: StaffId,
        service_id: ServiceId,
        customer_id: CustomerId,
        slot: Slot,
        price: Money,
    },
    Reschedule {
        slot: Slot,
    },
    Confirm,
    CheckIn,
    Complete,
    MarkNoShow,
    /// The reason itself is free text and goes to the vault.
    Cancel {
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
}
