//! The one place where payloads of older schema versions are turned into today's form.
//!
//! Every form ever written has a golden file, `actors/golden/<aggregate type>/<event type>.v<version>.json`, and further
//! ones `….v<version>.<case>.json` where one example doesn't show every value that an event can hold. They are never
//! changed and never deleted: events of that form are in somebody's store for good. The tests of this module hold the
//! build to them, so
//! - to add an event: its line in the aggregate's `events!` list, and a golden file `<event type>.v1.json`;
//! - to change an event's form: raise its version in that list, add the golden file of the new version beside the old,
//!   and add an arm in [`to_current`] that turns the old JSON into the new.

use crate::aggregates::loyalty_balance::LoyaltyBalanceEvent;
use crate::aggregates::staff_utilisation::StaffUtilisationEvent;
use crate::ids::AggregateType;
use crate::sagas::booking::BookingEvent;

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
    _payload: &[u8],
) -> Result<Option<Upcast>, String> {
    match current_types(aggregate_type).iter().find(|(name, _)| *name == event_type) {
        Some((_, current)) if *current == schema_version => Ok(None),
        Some((_, current)) if *current < schema_version => {
            Err(format!("written by a newer build: this one reads up to schema version {current}"))
        }
        Some(_) => Err("no upcaster for this schema version".to_owned()),
        None => Err("no such event type".to_owned()),
    }
}

/// Every event type of the aggregate with the schema version that this build writes.
fn current_types(aggregate_type: AggregateType) -> &'static [(&'static str, u16)] {
    match aggregate_type {
        AggregateType::StaffUtilisation => StaffUtilisationEvent::TYPES,
        AggregateType::LoyaltyBalance => LoyaltyBalanceEvent::TYPES,
        AggregateType::Booking => BookingEvent::TYPES,
    }
}
