use uuid::Uuid;

use super::events::StockItemEvent;

/// An event as an entry of the ledger, whose running sum is what is on hand and reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    pub quantity_delta: i64,
    pub reserved_delta: i64,
    /// A code, never free text.
    pub reason: &'static str,
    pub reservation_id: Option<Uuid>,
}

impl StockItemEvent {
    pub fn movement(&self) -> Movement {
        let still = Movement { quantity_delta: 0, reserved_delta: 0, reason: "", reservation_id: None };
        match self {
            StockItemEvent::Received(event) => {
                Movement { quantity_delta: event.quantity.into(), reason: "receive", ..still }
            }
            StockItemEvent::Adjusted(event) => {
                Movement { quantity_delta: event.quantity.into(), reason: event.reason.as_str(), ..still }
            }
            StockItemEvent::Reserved(event) => Movement {
                reserved_delta: event.quantity.into(),
                reason: "reserve",
                reservation_id: Some(event.reservation_id),
                ..still
            },
            StockItemEvent::Released(event) => Movement {
                reserved_delta: -i64::from(event.quantity),
                reason: "release",
                reservation_id: Some(event.reservation_id),
                ..still
            },
            StockItemEvent::Consumed(event) => {
                let quantity = i64::from(event.quantity);
                Movement {
                    quantity_delta: -quantity,
                    reserved_delta: event.reservation_id.map_or(0, |_| -quantity),
                    reason: "consume",
                    reservation_id: event.reservation_id,
                }
            }
            StockItemEvent::Expired(event) => Movement {
                reserved_delta: -i64::from(event.quantity),
                reason: "expire",
                reservation_id: Some(event.reservation_id),
                ..still
            },
        }
    }
}
