use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::events;
use crate::ids::{CustomerId, ServiceId, StaffId};
use crate::money::Money;
use crate::time::Slot;

events! {
    pub enum BookingEvent for Booking {
        Scheduled(BookingScheduled) = "booking_scheduled", version 2;
        Rescheduled(BookingRescheduled) = "booking_rescheduled", version 2;
        Confirmed(BookingConfirmed) = "booking_confirmed", version 1;
        CheckedIn(BookingCheckedIn) = "booking_checked_in", version 1;
        Completed(BookingCompleted) = "booking_completed", version 1;
        NoShow(BookingNoShow) = "booking_no_show", version 1;
        Cancelled(BookingCancelled) = "booking_cancelled", version 1;
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BookingScheduled {
    pub staff_id: StaffId,
    /// `None` only for rows that were brought in: the MVP allowed appointments without service or customer.
    pub service_id: Option<ServiceId>,
    pub customer_id: Option<CustomerId>,
    pub slot: Slot,
    /// The tenant's calendar day on which the slot begins, so that folding needs no zone.
    pub day: Date,
    pub price: Money,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BookingRescheduled {
    pub from: Slot,
    pub to: Slot,
    /// The tenant's calendar day on which `to` begins.
    pub day: Date,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BookingConfirmed {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BookingCheckedIn {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BookingCompleted {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BookingNoShow {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BookingCancelled {
    pub waive_fee: bool,
    /// Whether the vault holds a reason.
    pub reason_recorded: bool,
}
