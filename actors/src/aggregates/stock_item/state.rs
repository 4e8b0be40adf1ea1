use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StockItem {
    /// Wide and signed, since rows of the MVP may hold what no command of ours would have allowed.
    pub(super) on_hand: i64,
    /// In the order in which they were made; also those whose time is up while no event says so yet.
    pub(super) reservations: Vec<Reservation>,
    /// What other software has reserved, as rows say: it never expires, and no command of ours lets go of it. No event
    /// tells of it, so it is no part of what is kept.
    #[serde(skip)]
    pub(super) reserved_elsewhere: i64,
    /// What must not happen twice, oldest first.
    pub(super) done: VecDeque<Done>,
}

/// What is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub id: Uuid,
    pub quantity: u32,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Done {
    pub what: Once,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Once {
    Movement(Uuid),
    Reservation(Uuid),
}

impl StockItem {
    /// What is known of the item, beside the running sums of its movements, those of other software included.
    pub fn with_sums(self, on_hand: i64, reserved: i64) -> StockItem {
        let reserved_elsewhere = (reserved - sum(self.reservations.iter())).max(0);
        StockItem { on_hand, reserved_elsewhere, ..self }
    }

    pub fn on_hand(&self) -> i64 {
        self.on_hand
    }

    /// What the events say is reserved: the running sum of the movements.
    pub fn reserved(&self) -> i64 {
        self.reserved_elsewhere + sum(self.reservations.iter())
    }

    /// Reservations whose time is up don't count, whether or not an event says so yet.
    pub fn reserved_at(&self, now: Timestamp) -> i64 {
        self.reserved_elsewhere + sum(self.reservations.iter().filter(|reservation| !reservation.is_due(now)))
    }

    pub fn available_at(&self, now: Timestamp) -> i64 {
        self.on_hand - self.reserved_at(now)
    }

    pub fn reservations(&self) -> &[Reservation] {
        &self.reservations
    }

    pub(super) fn held(&self, reservation_id: Uuid) -> u32 {
        self.reservations.iter().find(|held| held.id == reservation_id).map_or(0, |held| held.quantity)
    }

    pub(super) fn has_done(&self, what: Once) -> bool {
        self.done.iter().any(|done| done.what == what)
    }
}

impl Reservation {
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

fn sum<'a>(reservations: impl Iterator<Item = &'a Reservation>) -> i64 {
    reservations.map(|reservation| i64::from(reservation.quantity)).sum()
}
