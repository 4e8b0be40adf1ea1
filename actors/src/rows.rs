//! What decided events change in the transactional tables. One mapping for all who write rows: a command of MVP mode, an
//! append in scale mode, and whoever makes rows anew from events.

use jiff::civil::Date;
use uuid::Uuid;

use crate::ids::{BookingId, CustomerId, EventId, ProductId, StaffId, UserId, Version};
use crate::sagas::booking::BookingDetails;
use crate::time::Timestamp;

/// Events that an aggregate has just decided or, when rows are made anew, decided once.
pub struct Decided<'a, E> {
    pub aggregate_id: Uuid,
    /// The stream's version before the events.
    pub before: Version,
    pub events: &'a [(EventId, E)],
    pub occurred_at: Timestamp,
    /// Who asked for it, where that is known.
    pub actor: Option<UserId>,
}

impl<E> Decided<'_, E> {
    pub fn after(&self) -> Version {
        self.before.plus(self.events.len())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum RowChange {
    Appointment(AppointmentChange),
    Hold(Hold),
    Ledger(LedgerEntry),
    Movement(StockMovementRow),
}

/// The row of `appointments` as it is after the change.
#[derive(Debug, Clone, PartialEq)]
pub struct AppointmentChange {
    pub booking_id: BookingId,
    pub event_id: EventId,
    /// Where the row starts before the change, which is part of its key; `None` for a new one.
    pub at: Option<Timestamp>,
    pub version: Version,
    pub details: BookingDetails,
    pub moved_at: Option<Timestamp>,
    pub fee_waived: bool,
}

/// What a person's calendar adds to the appointment that takes a slot, and says of the days that it takes time from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub staff_id: StaffId,
    pub booking_id: BookingId,
    pub buffer_before_minutes: u32,
    pub buffer_after_minutes: u32,
    /// What the person works on each of the days.
    pub working_minutes: Vec<(Date, u32)>,
}

/// A row of `loyalty_ledger`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    pub customer_id: CustomerId,
    pub version: Version,
    pub event_id: EventId,
    pub kind: &'static str,
    /// Signed.
    pub points: i64,
    pub booking_id: Option<BookingId>,
    /// Of the redemption or adjustment.
    pub reference_id: Option<Uuid>,
    pub expires_at: Option<Timestamp>,
    pub occurred_at: Timestamp,
    /// The account after the last of the entries that were decided together.
    pub account: Option<Account>,
}

/// What the row of `loyalty_accounts` holds besides its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub balance: u64,
    /// The aggregate's state, as JSON.
    pub state: String,
}

/// A row of `product_stock_movements`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockMovementRow {
    pub product_id: ProductId,
    pub version: Version,
    pub event_id: EventId,
    /// Signed, as is what it does to the reserved quantity.
    pub quantity_delta: i64,
    pub reserved_delta: i64,
    pub reason: &'static str,
    /// The ids that the movement goes by, as JSON.
    pub context: String,
    pub created_by: Option<UserId>,
    pub occurred_at: Timestamp,
    /// The aggregate's state after the last of the movements that were decided together, as JSON.
    pub item: Option<String>,
}
