//! A customer's points with one tenant.

mod commands;
mod events;

pub use commands::{LoyaltyCommand, LoyaltyRefusal};
pub use events::{LoyaltyBalanceEvent, PointsAccrued, PointsAdjusted, PointsExpired, PointsRedeemed, PointsReversed};
