//! Why a command was refused. Typed, so that the caller decides; one place in `http` maps it to a status.

use crate::aggregates::loyalty_balance::LoyaltyRefusal;
use crate::aggregates::staff_utilisation::StaffRefusal;
use crate::aggregates::stock_item::StockRefusal;
use crate::ids::Version;
use crate::sagas::booking::BookingRefusal;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Staff(#[from] StaffRefusal),
    #[error(transparent)]
    Loyalty(#[from] LoyaltyRefusal),
    #[error(transparent)]
    Stock(#[from] StockRefusal),
    #[error(transparent)]
    Booking(#[from] BookingRefusal),
    /// The caller named the version that it had seen, and it is no longer the current one.
    #[error("it has changed since: version {current} is current, not {expected}")]
    VersionMismatch { expected: Version, current: Version },
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The value of one field breaks a rule of the domain.
    #[error("{field}: {message}")]
    Invalid { field: &'static str, message: String },
}
