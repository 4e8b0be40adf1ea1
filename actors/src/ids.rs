//! Newtypes for ids, versions and positions: parsing is validation, and nothing later checks the shape again.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The one macro of the core: nine ids that differ in name only.
macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

uuid_id! {
    /// A salon, or a group of salons that keeps one set of books.
    TenantId,
    /// A person who logs in; the `sub` claim of a token.
    UserId,
    /// A person who serves customers; also the id of the staff utilisation aggregate.
    StaffId,
    ServiceId,
    /// Also the id of the loyalty balance aggregate.
    CustomerId,
    /// Also the id of the stock item aggregate.
    ProductId,
    /// Also the id of the booking saga.
    BookingId,
    EventId,
    /// Names one attempt to change something; the journal commits it at most once.
    CommandId,
    /// Names one running server process, so that it can tell its own events from those of its peers.
    NodeId,
}

/// The number of an event within its stream: 1, 2, 3 … without gap. 0 is a stream without events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u32);

impl Version {
    pub const NONE: Version = Version(0);

    pub fn next(self) -> Version {
        Version(self.0 + 1)
    }

    pub fn plus(self, events: usize) -> Version {
        Version(self.0 + u32::try_from(events).expect("an append holds few events"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of an event in the event store. Unique, not gapless, and not the order of commits (the feed gives that).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub i64);

/// The kinds of aggregate. To add one: a variant, its name, and its folder under `aggregates/` or `sagas/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AggregateType {
    StaffUtilisation,
    LoyaltyBalance,
    StockItem,
    Booking,
}

impl AggregateType {
    pub const ALL: [AggregateType; 4] = [
        AggregateType::StaffUtilisation,
        AggregateType::LoyaltyBalance,
        AggregateType::StockItem,
        AggregateType::Booking,
    ];

    /// The name in the column `aggregate_type`, in metrics and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            AggregateType::StaffUtilisation => "staff_utilisation",
            AggregateType::LoyaltyBalance => "loyalty_balance",
            AggregateType::StockItem => "stock_item",
            AggregateType::Booking => "booking",
        }
    }

    pub fn parse(text: &str) -> Option<AggregateType> {
        AggregateType::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for AggregateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which stream: the events of one aggregate of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamId {
    pub tenant_id: TenantId,
    pub aggregate_type: AggregateType,
    pub aggregate_id: Uuid,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant_id, self.aggregate_type, self.aggregate_id)
    }
}
