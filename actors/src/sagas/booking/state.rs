use serde::{Deserialize, Serialize};

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
    pub updated_at: Timestamp,
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
