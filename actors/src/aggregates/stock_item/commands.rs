use std::collections::BTreeMap;

use uuid::Uuid;

use crate::ids::ProductId;
use crate::time::Timestamp;

use super::events::AdjustmentReason;

/// `movement_id` and `reservation_id` make each happen once. What names several items happens to all of them or to none.
#[derive(Debug, Clone, PartialEq)]
pub enum StockCommand {
    Receive {
        movement_id: Uuid,
        product_id: ProductId,
        quantity: u32,
    },
    /// A correction by a person, up or down.
    Adjust {
        movement_id: Uuid,
        product_id: ProductId,
        quantity: i32,
        reason: AdjustmentReason,
    },
    Reserve {
        reservation_id: Uuid,
        lines: Lines<u32>,
        expires_at: Timestamp,
    },
    /// Gives back what is left of a reservation.
    Release {
        reservation_id: Uuid,
        lines: Lines<()>,
    },
    /// Takes what a reservation holds or, without one, what nobody has reserved.
    Consume {
        movement_id: Uuid,
        reservation_id: Option<Uuid>,
        lines: Lines<u32>,
    },
}

/// What is asked of each item, ascending by its id, and of one item at least. An item that a request names twice is here
/// once, with the sum: so no item is asked twice in one append, nor decides on less than all that is asked of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines<Q>(BTreeMap<ProductId, Q>);

impl StockCommand {
    /// The item that decides it. Of several that is the first, which asks the others.
    pub fn product_id(&self) -> ProductId {
        match self {
            StockCommand::Receive { product_id, .. } | StockCommand::Adjust { product_id, .. } => *product_id,
            StockCommand::Reserve { lines, .. } | StockCommand::Consume { lines, .. } => lines.first().0,
            StockCommand::Release { lines, .. } => lines.first().0,
        }
    }

    /// What the first item asks of the others, each by itself. Ascending, so that no two appends can wait for each other.
    pub(super) fn of_others(&self) -> Vec<StockCommand> {
        match *self {
            StockCommand::Receive { .. } | StockCommand::Adjust { .. } => Vec::new(),
            StockCommand::Reserve { reservation_id, ref lines, expires_at } => {
                lines.others().map(|lines| StockCommand::Reserve { reservation_id, lines, expires_at }).collect()
            }
            StockCommand::Release { reservation_id, ref lines } => {
                lines.others().map(|lines| StockCommand::Release { reservation_id, lines }).collect()
            }
            StockCommand::Consume { movement_id, reservation_id, ref lines } => {
                lines.others().map(|lines| StockCommand::Consume { movement_id, reservation_id, lines }).collect()
            }
        }
    }
}

impl Lines<u32> {
    /// `None` without any line.
    pub fn summed(lines: impl IntoIterator<Item = (ProductId, u32)>) -> Option<Lines<u32>> {
        let mut sums = BTreeMap::<ProductId, u32>::new();
        for (product_id, quantity) in lines {
            let sum = sums.entry(product_id).or_default();
            *sum = sum.saturating_add(quantity);
        }
        (!sums.is_empty()).then_some(Lines(sums))
    }
}

impl Lines<()> {
    /// `None` without any item.
    pub fn of(items: impl IntoIterator<Item = ProductId>) -> Option<Lines<()>> {
        let items: BTreeMap<_, _> = items.into_iter().map(|product_id| (product_id, ())).collect();
        (!items.is_empty()).then_some(Lines(items))
    }
}

impl<Q: Copy> Lines<Q> {
    pub fn iter(&self) -> impl Iterator<Item = (ProductId, Q)> {
        self.0.iter().map(|(product_id, asked)| (*product_id, *asked))
    }

    pub(super) fn first(&self) -> (ProductId, Q) {
        self.iter().next().expect("there is one line at least")
    }

    fn others(&self) -> impl Iterator<Item = Lines<Q>> {
        self.iter().skip(1).map(|line| Lines(BTreeMap::from([line])))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StockRefusal {
    #[error("{available} of product {product_id} are available, which is less than {asked}")]
    InsufficientStock { product_id: ProductId, available: i64, asked: u32 },
    #[error("the reservation holds {held} of product {product_id}, which is less than {asked}")]
    InsufficientReservation { product_id: ProductId, held: u32, asked: u32 },
    #[error("product {product_id} has too many reservations already")]
    TooManyReservations { product_id: ProductId },
}
