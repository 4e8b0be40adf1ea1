//! The one place where payloads of older schema versions are turned into today's form.
//!
//! To change an event's form: raise its version in the aggregate's `events!` list, keep the golden file of the old
//! version under `actors/golden/`, and add an arm here that turns the old JSON into the new.

use crate::ids::AggregateType;

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
    let types = match aggregate_type {
        AggregateType::StaffUtilisation => crate::aggregates::staff_utilisation::StaffUtilisationEvent::TYPES,
        AggregateType::LoyaltyBalance => crate::aggregates::loyalty_balance::LoyaltyBalanceEvent::TYPES,
        AggregateType::Booking => crate::sagas::booking::BookingEvent::TYPES,
    };
    match types.iter().find(|(name, _)| *name == event_type) {
        Some((_, current)) if *current == schema_version => Ok(None),
        Some((_, current)) if *current < schema_version => {
            Err(format!("written by a newer build: this one reads up to schema version {current}"))
        }
        Some(_) => Err("no upcaster for this schema version".to_owned()),
        None => Err("no such event type".to_owned()),
    }
}
