use uuid::Uuid;

use crate::time::{DAY_MS, Timestamp};

use super::events::StockItemEvent;
use super::state::{Done, Once, Reservation, StockItem};

/// A client's retry comes within minutes.
pub(super) const DONE_MAX: usize = 1_000;
const DONE_KEPT_DAYS: i64 = 365;

pub(super) fn evolve(item: &mut StockItem, event: &StockItemEvent, occurred_at: Timestamp) {
    match event {
        StockItemEvent::Received(received) => {
            item.move_by(i64::from(received.quantity));
            item.remember(Once::Movement(received.movement_id), occurred_at);
        }
        StockItemEvent::Adjusted(adjusted) => {
            item.move_by(i64::from(adjusted.quantity));
            item.remember(Once::Movement(adjusted.movement_id), occurred_at);
        }
        StockItemEvent::Reserved(reserved) => {
            let (id, quantity, expires_at) = (reserved.reservation_id, reserved.quantity, reserved.expires_at);
            item.reservations.push(Reservation { id, quantity, expires_at });
            item.remember(Once::Reservation(id), occurred_at);
        }
        StockItemEvent::Released(released) => item.let_go(released.reservation_id, released.quantity),
        StockItemEvent::Consumed(consumed) => {
            item.move_by(-i64::from(consumed.quantity));
            if let Some(reservation_id) = consumed.reservation_id {
                item.let_go(reservation_id, consumed.quantity);
            }
            item.remember(Once::Movement(consumed.movement_id), occurred_at);
        }
        StockItemEvent::Expired(expired) => item.let_go(expired.reservation_id, expired.quantity),
    }
}

impl StockItem {
    fn move_by(&mut self, quantity: i64) {
        self.on_hand = self.on_hand.saturating_add(quantity);
    }

    fn let_go(&mut self, reservation_id: Uuid, quantity: u32) {
        if let Some(held) = self.reservations.iter_mut().find(|held| held.id == reservation_id) {
            held.quantity = held.quantity.saturating_sub(quantity);
        }
        self.reservations.retain(|held| held.quantity > 0);
    }

    fn remember(&mut self, what: Once, at: Timestamp) {
        let forgotten_before = at.plus_millis(-DONE_KEPT_DAYS * DAY_MS);
        self.done.push_back(Done { what, at });
        while self.done.len() > DONE_MAX || self.done.front().is_some_and(|done| done.at < forgotten_before) {
            self.done.pop_front();
        }
    }
}
