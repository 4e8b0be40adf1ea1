//! Loyalty: a customer's points with the salon.

mod change;
mod read;

pub use change::{AdjustPoints, PointsChanged, RedeemPoints, adjust, redeem};
pub use read::{HistoryQuery, LoyaltyAccount, LoyaltyEntry, balance, history};
