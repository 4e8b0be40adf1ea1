use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::events;
use crate::ids::BookingId;
use crate::time::Timestamp;

events! {
    pub enum LoyaltyBalanceEvent for LoyaltyBalance {
        Accrued(PointsAccrued) = "points_accrued", version 1;
        Redeemed(PointsRedeemed) = "points_redeemed", version 1;
        Adjusted(PointsAdjusted) = "points_adjusted", version 1;
        Reversed(PointsReversed) = "points_reversed", version 1;
        Expired(PointsExpired) = "points_expired", version 1;
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsAccrued {
    pub booking_id: BookingId,
    pub points: u32,
    pub expires_at: Option<Timestamp>,
}

/// Taken from the oldest points first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsRedeemed {
    pub redemption_id: Uuid,
    pub points: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsAdjusted {
    pub adjustment_id: Uuid,
    pub points: i32,
    /// When points that were added expire.
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsReversed {
    pub booking_id: BookingId,
    /// What was taken back: never more than the balance.
    pub points: u32,
}

/// Written by the first command after points have expired; reads leave them out from the moment of expiry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsExpired {
    pub points: u32,
    /// All lots that expire at or before this instant are gone.
    pub expired_until: Timestamp,
}
