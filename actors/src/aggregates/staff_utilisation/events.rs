use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::events;
use crate::ids::{BookingId, ServiceId};
use crate::time::Slot;

events! {
    pub enum StaffUtilisationEvent for StaffUtilisation {
        Reserved(SlotReserved) = "slot_reserved", version 1;
        Moved(SlotMoved) = "slot_moved", version 1;
        Released(SlotReleased) = "slot_released", version 1;
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotReserved {
    pub booking_id: BookingId,
    pub service_id: Option<ServiceId>,
    pub slot: Slot,
    pub buffer_before_minutes: u32,
    pub buffer_after_minutes: u32,
    pub days: Vec<DayShare>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotMoved {
    pub booking_id: BookingId,
    pub service_id: Option<ServiceId>,
    pub from: Slot,
    pub to: Slot,
    pub buffer_before_minutes: u32,
    pub buffer_after_minutes: u32,
    /// What the days of `from` lose.
    pub days_from: Vec<DayShare>,
    /// What the days of `to` gain.
    pub days_to: Vec<DayShare>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotReleased {
    pub booking_id: BookingId,
    pub slot: Slot,
    pub reason: ReleaseReason,
    /// What the days lose; a completed booking's minutes stay booked.
    pub days: Vec<DayShare>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    Cancelled,
    NoShow,
    /// The work is done: what is left of the slot is free again, and its minutes stay booked.
    Completed,
}

/// A slot's minutes on one calendar day of the tenant, so that folding needs neither zone nor working hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayShare {
    pub date: Date,
    pub booked_minutes: u32,
    /// What the person works on that day, by the hours on record when the event was decided.
    pub working_minutes: u32,
}
