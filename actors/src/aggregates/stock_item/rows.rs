use serde_json::{Value, json};

use crate::ids::ProductId;
use crate::rows::{Decided, RowChange, StockMovementRow};

use super::{Movement, StockItem, StockItemEvent};

/// A movement for each event; the last one says what is left.
pub(super) fn changes(item: &StockItem, decided: &Decided<'_, StockItemEvent>) -> Vec<RowChange> {
    let last = decided.events.len().saturating_sub(1);
    let numbered = decided.events.iter().enumerate();
    let movements = numbered.map(|(nth, (event_id, event))| {
        let Movement { quantity_delta, reserved_delta, reason, .. } = event.movement();
        StockMovementRow {
            product_id: ProductId(decided.aggregate_id),
            version: decided.before.plus(nth + 1),
            event_id: *event_id,
            quantity_delta,
            reserved_delta,
            reason,
            context: context(event).to_string(),
            created_by: decided.actor,
            occurred_at: decided.occurred_at,
            item: (nth == last).then(|| state(item)),
        }
    });
    movements.map(RowChange::Movement).collect()
}

fn context(event: &StockItemEvent) -> Value {
    match event {
        StockItemEvent::Received(e) => json!({ "movementId": e.movement_id }),
        StockItemEvent::Adjusted(e) => json!({ "movementId": e.movement_id }),
        StockItemEvent::Reserved(e) => json!({ "reservationId": e.reservation_id, "expiresAt": e.expires_at }),
        StockItemEvent::Released(e) => json!({ "reservationId": e.reservation_id }),
        StockItemEvent::Consumed(e) => match e.reservation_id {
            Some(reservation_id) => json!({ "movementId": e.movement_id, "reservationId": reservation_id }),
            None => json!({ "movementId": e.movement_id }),
        },
        StockItemEvent::Expired(e) => json!({ "reservationId": e.reservation_id }),
    }
}

fn state(item: &StockItem) -> String {
    serde_json::to_string(item).expect("stock items hold nothing that JSON can't")
}
