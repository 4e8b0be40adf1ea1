//! The one place where payloads of older schema versions are turned into today's form.
//!
//! Every form ever written has a golden file, `actors/golden/<aggregate type>/<event type>.v<version>.json`, and further
//! ones `….v<version>.<case>.json` where one example doesn't show every value that an event can hold. They are never
//! changed and never deleted: events of that form are in somebody's store for good. The tests of this module hold the
//! build to them, so
//! - to add an event: its line in the aggregate's `events!` list, and a golden file `<event type>.v1.json`;
//! - to change an event's form: raise its version in that list, add the golden file of the new version beside the old,
//!   and add an arm in [`to_current`] that turns the old JSON into the new.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::aggregates::loyalty_balance::LoyaltyBalanceEvent;
use crate::aggregates::staff_utilisation::StaffUtilisationEvent;
use crate::aggregates::stock_item::StockItemEvent;
use crate::ids::AggregateType;
use crate::sagas::booking::BookingEvent;
use crate::time::Timestamp;

#[cfg(test)]
mod golden;

pub struct Upcast {
    pub event_type: String,
    pub payload: Vec<u8>,
}

/// `None` when the stored form is the current one, which is the common case and costs nothing.
pub fn to_current(
    aggregate_type: AggregateType,
    event_type: &str,
    schema_version: u16,
    payload: &[u8],
) -> Result<Option<Upcast>, String> {
    match current_types(aggregate_type).iter().find(|(name, _)| *name == event_type) {
        Some((_, current)) if *current == schema_version => Ok(None),
        Some((_, current)) if *current < schema_version => {
            Err(format!("written by a newer build: this one reads up to schema version {current}"))
        }
        Some(_) => match (aggregate_type, event_type, schema_version) {
            (AggregateType::Booking, "booking_scheduled", 1) => with_day(event_type, payload, "/slot/start").map(Some),
            (AggregateType::Booking, "booking_rescheduled", 1) => with_day(event_type, payload, "/to/start").map(Some),
            _ => Err("no upcaster for this schema version".to_owned()),
        },
        None => Err("no such event type".to_owned()),
    }
}

/// Version 1 did not say on which of the tenant's days the slot begins. Nor does it say the tenant's zone: nearly all are
/// in this one, and in others the day differs for slots that begin in the small hours only.
fn with_day(event_type: &str, payload: &[u8], start: &str) -> Result<Upcast, String> {
    let mut event: Value = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    let text = event.pointer(start).and_then(Value::as_str).ok_or_else(|| format!("{start} is missing"))?;
    let start: Timestamp = text.parse().map_err(|error| format!("{start}: {error}"))?;
    let zone = TimeZone::get("Europe/Zurich").expect("jiff's bundled database has it");
    event["day"] = Value::String(start.date_in(&zone).to_string());
    let payload = serde_json::to_vec(&event).expect("a value is JSON");
    Ok(Upcast { event_type: event_type.to_owned(), payload })
}

/// Every event type of the aggregate with the schema version that this build writes.
fn current_types(aggregate_type: AggregateType) -> &'static [(&'static str, u16)] {
    match aggregate_type {
        AggregateType::StaffUtilisation => StaffUtilisationEvent::TYPES,
        AggregateType::LoyaltyBalance => LoyaltyBalanceEvent::TYPES,
        AggregateType::StockItem => StockItemEvent::TYPES,
        AggregateType::Booking => BookingEvent::TYPES,
    }
}
