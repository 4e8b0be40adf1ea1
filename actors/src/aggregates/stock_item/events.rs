use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::events;
use crate::time::Timestamp;

events! {
    pub enum StockItemEvent for StockItem {
        Received(StockReceived) = "stock_received", version 1;
        Adjusted(StockAdjusted) = "stock_adjusted", version 1;
        Reserved(StockReserved) = "stock_reserved", version 1;
        Released(StockReleased) = "stock_released", version 1;
        Consumed(StockConsumed) = "stock_consumed", version 1;
        Expired(ReservationExpired) = "reservation_expired", version 1;
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockReceived {
    pub movement_id: Uuid,
    pub quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockAdjusted {
    pub movement_id: Uuid,
    pub quantity: i32,
    pub reason: AdjustmentReason,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockReserved {
    pub reservation_id: Uuid,
    pub quantity: u32,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockReleased {
    pub reservation_id: Uuid,
    /// What was left of the reservation.
    pub quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockConsumed {
    pub movement_id: Uuid,
    /// The reservation that it was taken from; what is left of it stays reserved.
    pub reservation_id: Option<Uuid>,
    pub quantity: u32,
}

/// Written by the first command after the reservation's time was up; reads leave it out from that moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationExpired {
    pub reservation_id: Uuid,
    /// What was left of the reservation.
    pub quantity: u32,
}

/// A closed list, because free text could say something about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentReason {
    /// Somebody has counted.
    Count,
    Damage,
    Loss,
    Theft,
    Return,
    Other,
}

impl AdjustmentReason {
    pub const ALL: [AdjustmentReason; 6] = [
        AdjustmentReason::Count,
        AdjustmentReason::Damage,
        AdjustmentReason::Loss,
        AdjustmentReason::Theft,
        AdjustmentReason::Return,
        AdjustmentReason::Other,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            AdjustmentReason::Count => "count",
            AdjustmentReason::Damage => "damage",
            AdjustmentReason::Loss => "loss",
            AdjustmentReason::Theft => "theft",
            AdjustmentReason::Return => "return",
            AdjustmentReason::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Option<AdjustmentReason> {
        AdjustmentReason::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}
