//! Entries of `outbox_events`, as the MVP's triggers and the journal write them.

use codeccloud_actors::ids::{BookingId, CustomerId, ServiceId, StaffId, TenantId};
use codeccloud_actors::sagas::booking::BookingStatus;
use codeccloud_actors::time::{Slot, Timestamp};
use serde::de::{Deserializer, Error, IntoDeserializer};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A change of a row that somebody may want to hear of.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Of one row, in the order of its changes.
    pub id: i64,
    /// Rows changed by hand may have none.
    pub tenant_id: Option<TenantId>,
    /// A table, or one of its partitions.
    pub aggregate: String,
    /// The row's id.
    pub aggregate_id: Option<Uuid>,
    pub operation: Operation,
    /// `{ table, operation, row }`, the row as it is afterwards; of a deletion, as it was.
    pub payload: serde_json::Value,
    /// When its transaction began: the same for all entries of one.
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Insert,
    Update,
    Delete,
    /// Written by software that we don't know.
    Other,
}

impl Operation {
    pub fn parse(event_type: &str) -> Operation {
        match event_type {
            "insert" => Operation::Insert,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            _ => Operation::Other,
        }
    }
}

/// What of a row of `appointments` matters here. `version` and `moved_at` are there where our own server wrote the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingRow {
    pub id: BookingId,
    pub customer_id: Option<CustomerId>,
    pub staff_id: StaffId,
    pub service_id: Option<ServiceId>,
    pub status: BookingStatus,
    pub slot: Slot,
    pub cancelled_at: Option<Timestamp>,
    pub moved_at: Option<Timestamp>,
    pub version: Option<i32>,
}

impl Entry {
    /// `None` for entries of other tables. An entry of this one that can't be read is an error: it may be worth a mail.
    pub fn booking(&self) -> Option<Result<BookingRow, serde_json::Error>> {
        is_appointments(&self.aggregate).then(|| {
            let row = self.payload.get("row").cloned().unwrap_or_default();
            let row: RowJson = serde_json::from_value(row)?;
            let slot = Slot::new(row.slot_start, row.slot_end);
            Ok(BookingRow {
                id: row.id,
                customer_id: row.customer_id,
                staff_id: row.staff_id,
                service_id: row.service_id,
                status: row.status,
                slot: slot.ok_or_else(|| serde_json::Error::custom("the slot is empty"))?,
                cancelled_at: row.cancelled_at,
                moved_at: row.moved_at,
                version: row.version,
            })
        })
    }
}

#[derive(Deserialize)]
struct RowJson {
    id: BookingId,
    customer_id: Option<CustomerId>,
    staff_id: StaffId,
    service_id: Option<ServiceId>,
    #[serde(deserialize_with = "status_of_row")]
    status: BookingStatus,
    slot_start: Timestamp,
    slot_end: Timestamp,
    cancelled_at: Option<Timestamp>,
    moved_at: Option<Timestamp>,
    version: Option<i32>,
}

/// Rows call a booking that waits for something outside a draft.
fn status_of_row<'de, D: Deserializer<'de>>(json: D) -> Result<BookingStatus, D::Error> {
    match String::deserialize(json)?.as_str() {
        "draft" => Ok(BookingStatus::Pending),
        status => BookingStatus::deserialize(status.into_deserializer()),
    }
}

/// Triggers fire on partitions and give their names.
fn is_appointments(table: &str) -> bool {
    let month = table.strip_prefix("appointments").map(|rest| rest.strip_prefix('_').unwrap_or(rest));
    month.is_some_and(|month| month.is_empty() || (month.len() == 6 && month.bytes().all(|b| b.is_ascii_digit())))
}

/// What became of a booking, in the words of webhooks; customers get mail about some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BookingChange {
    #[serde(rename = "booking.scheduled")]
    Scheduled,
    #[serde(rename = "booking.rescheduled")]
    Rescheduled,
    #[serde(rename = "booking.confirmed")]
    Confirmed,
    #[serde(rename = "booking.checked_in")]
    CheckedIn,
    #[serde(rename = "booking.completed")]
    Completed,
    #[serde(rename = "booking.no_show")]
    NoShow,
    #[serde(rename = "booking.cancelled")]
    Cancelled,
}

impl BookingChange {
    pub const ALL: [BookingChange; 7] = [
        BookingChange::Scheduled,
        BookingChange::Rescheduled,
        BookingChange::Confirmed,
        BookingChange::CheckedIn,
        BookingChange::Completed,
        BookingChange::NoShow,
        BookingChange::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            BookingChange::Scheduled => "booking.scheduled",
            BookingChange::Rescheduled => "booking.rescheduled",
            BookingChange::Confirmed => "booking.confirmed",
            BookingChange::CheckedIn => "booking.checked_in",
            BookingChange::Completed => "booking.completed",
            BookingChange::NoShow => "booking.no_show",
            BookingChange::Cancelled => "booking.cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<BookingChange> {
        BookingChange::ALL.into_iter().find(|change| change.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_the_table_and_other_tables_are_not() {
        for table in ["appointments", "appointments_202406"] {
            assert!(is_appointments(table), "{table}");
        }
        for table in ["appointment_services", "appointments_archive", "appointments_2024", "products", "appointments2"]
        {
            assert!(!is_appointments(table), "{table}");
        }
    }

    #[test]
    fn events_are_written_as_they_are_called() {
        for change in BookingChange::ALL {
            assert_eq!(serde_json::to_value(change).unwrap(), change.as_str());
            assert_eq!(BookingChange::parse(change.as_str()), Some(change));
        }
    }
}
