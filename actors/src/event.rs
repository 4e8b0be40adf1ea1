//! Events of all aggregates, and the one place where stored ones are read.

use bytes::Bytes;

use crate::aggregates::loyalty_balance::LoyaltyBalanceEvent;
use crate::aggregates::staff_utilisation::StaffUtilisationEvent;
use crate::aggregates::stock_item::StockItemEvent;
use crate::envelope::UnreadableEvent;
use crate::ids::AggregateType;
use crate::sagas::booking::BookingEvent;
use crate::upcast;

/// The events of one aggregate type: a closed set, each with a name and a JSON form that never changes (a changed form
/// gets a higher schema version and an upcaster).
pub trait EventBody: Clone + Send + Sync + Sized + std::fmt::Debug + 'static {
    const AGGREGATE_TYPE: AggregateType;

    /// The column `event_type`.
    fn event_type(&self) -> &'static str;

    /// The version of the payload's form that this build writes.
    fn schema_version(&self) -> u16;

    /// The column `payload`: a JSON object without personal data.
    fn payload(&self) -> Bytes;

    /// Reads the current form; older forms have been through [`upcast`].
    fn read(event_type: &str, payload: &[u8]) -> Result<Self, String>;

    fn into_event(self) -> Event;

    /// `None` when the event is another aggregate type's.
    fn from_event(event: &Event) -> Option<&Self>;
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    StaffUtilisation(StaffUtilisationEvent),
    LoyaltyBalance(LoyaltyBalanceEvent),
    StockItem(StockItemEvent),
    Booking(BookingEvent),
}

impl Event {
    /// Reads a stored event of any schema version that was ever written.
    pub fn read(
        aggregate_type: AggregateType,
        event_type: &str,
        schema_version: u16,
        payload: &[u8],
    ) -> Result<Event, UnreadableEvent> {
        let unreadable = |reason| UnreadableEvent { event_type: event_type.to_owned(), schema_version, reason };
        let upcast = upcast::to_current(aggregate_type, event_type, schema_version, payload).map_err(unreadable)?;
        let (event_type, payload) = match &upcast {
            Some(current) => (current.event_type.as_str(), current.payload.as_slice()),
            None => (event_type, payload),
        };
        match aggregate_type {
            AggregateType::StaffUtilisation => {
                StaffUtilisationEvent::read(event_type, payload).map(Event::StaffUtilisation)
            }
            AggregateType::LoyaltyBalance => LoyaltyBalanceEvent::read(event_type, payload).map(Event::LoyaltyBalance),
            AggregateType::StockItem => StockItemEvent::read(event_type, payload).map(Event::StockItem),
            AggregateType::Booking => BookingEvent::read(event_type, payload).map(Event::Booking),
        }
        .map_err(unreadable)
    }
}

/// Declares the events of one aggregate: for each its name in the store and the schema version that is written. One list,
/// so that names, encoding and decoding can't disagree.
#[macro_export]
macro_rules! events {
    (
        $(#[$doc:meta])* $vis:vis enum $name:ident for $kind:ident {
            $($(#[$variant_doc:meta])* $variant:ident($body:ty) = $event_type:literal, version $version:literal;)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        $vis enum $name {
            $($(#[$variant_doc])* $variant($body)),+
        }

        impl $name {
            /// Every event type with the schema version that this build writes.
            pub const TYPES: &'static [(&'static str, u16)] = &[$(($event_type, $version)),+];
        }

        impl $crate::event::EventBody for $name {
            const AGGREGATE_TYPE: $crate::ids::AggregateType = $crate::ids::AggregateType::$kind;

            fn event_type(&self) -> &'static str {
                match self { $($name::$variant(_) => $event_type),+ }
            }

            fn schema_version(&self) -> u16 {
                match self { $($name::$variant(_) => $version),+ }
            }

            fn payload(&self) -> ::bytes::Bytes {
                let json = match self { $($name::$variant(body) => ::serde_json::to_vec(body)),+ };
                json.expect("events hold nothing that JSON can't").into()
            }

            fn read(event_type: &str, payload: &[u8]) -> Result<Self, String> {
                match event_type {
                    $($event_type => ::serde_json::from_slice(payload).map($name::$variant).map_err(|e| e.to_string()),)+
                    _ => Err("no such event type".to_owned()),
                }
            }

            fn into_event(self) -> $crate::event::Event {
                $crate::event::Event::$kind(self)
            }

            fn from_event(event: &$crate::event::Event) -> Option<&Self> {
                if let $crate::event::Event::$kind(event) = event { Some(event) } else { None }
            }
        }
    };
}
