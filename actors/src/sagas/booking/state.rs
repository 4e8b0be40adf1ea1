use serde::de::Error;
use serde::{Deserialize, Serialize};

use crate::aggregate::SagaState;
use crate::ids::{CustomerId, ServiceId, StaffId};
use crate::money::Money;
use crate::time::{Slot, Timestamp};

/// A booking's life cycle. `details` is `None` before the first event.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BookingSaga {
    pub details: Option<BookingDetails>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BookingDetails {
    pub status: BookingStatus,
    pub staff_id: StaffId,
    pub service_id: Option<ServiceId>,
    pub customer_id: Option<CustomerId>,
    pub slot: Slot,
    pub price: Money,
    pub moved: bool,
    pub reason_recorded: bool,
    pub created_at: Timestamp,
    /// When the last event occurred.
    pub updated_at: Timestamp,
}

impl BookingDetails {
    pub(super) fn saga_state(&self) -> SagaState {
        let row = SagaJson {
            staff_id: self.staff_id,
            service_id: self.service_id,
            customer_id: self.customer_id,
            slot_start: self.slot.start,
            slot_end: self.slot.end,
            status: self.status,
            price: self.price,
            moved: self.moved,
            reason_recorded: self.reason_recorded,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        let state = serde_json::to_string(&row).expect("ids, times and numbers are JSON");
        SagaState { status: self.status.as_str(), state }
    }

    /// From what a booking's saga has in its row.
    pub fn read_saga_state(state: &[u8]) -> Result<BookingDetails, serde_json::Error> {
        let row: SagaJson = serde_json::from_slice(state)?;
        let slot = Slot::new(row.slot_start, row.slot_end).ok_or_else(|| Error::custom("the slot is empty"))?;
        Ok(BookingDetails {
            status: row.status,
            staff_id: row.staff_id,
            service_id: row.service_id,
            customer_id: row.customer_id,
            slot,
            price: row.price,
            moved: row.moved,
            reason_recorded: row.reason_recorded,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// The form of `saga_instances.state`: what the wire calls a booking, without what only the vault knows.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SagaJson {
    staff_id: StaffId,
    service_id: Option<ServiceId>,
    customer_id: Option<CustomerId>,
    slot_start: Timestamp,
    slot_end: Timestamp,
    status: BookingStatus,
    price: Money,
    moved: bool,
    reason_recorded: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookingStatus {
    /// Waits for something outside.
    Pending,
    Scheduled,
    Confirmed,
    CheckedIn,
    Completed,
    NoShow,
    Cancelled,
}

impl BookingStatus {
    pub const ALL: [BookingStatus; 7] = [
        BookingStatus::Pending,
        BookingStatus::Scheduled,
        BookingStatus::Confirmed,
        BookingStatus::CheckedIn,
        BookingStatus::Completed,
        BookingStatus::NoShow,
        BookingStatus::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            BookingStatus::Pending => "pending",
            BookingStatus::Scheduled => "scheduled",
            BookingStatus::Confirmed => "confirmed",
            BookingStatus::CheckedIn => "checked_in",
            BookingStatus::Completed => "completed",
            BookingStatus::NoShow => "no_show",
            BookingStatus::Cancelled => "cancelled",
        }
    }

    /// Whether the booking holds its slot: no other may overlap it.
    pub fn is_active(self) -> bool {
        match self {
            BookingStatus::Pending | BookingStatus::Scheduled | BookingStatus::Confirmed | BookingStatus::CheckedIn => {
                true
            }
            BookingStatus::Completed | BookingStatus::NoShow | BookingStatus::Cancelled => false,
        }
    }
}
