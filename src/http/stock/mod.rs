//! Stock: how much of each product there is, and how it came about. What comes in or is corrected is one product's; what
//! is reserved and leaves may be several products' at once, all of them or none.

mod change;
mod read;
mod reservations;

pub use change::{AdjustStock, ReceiveStock, StockChanged, adjust, receive};
pub use read::{Movement, MovementQuery, Stock, get, movements};
pub use reservations::{ConsumeStock, ReleaseStock, ReserveStock, StockConsumed, StockReleased, StockReserved};
pub use reservations::{consume, release, reserve};

/// Far beyond any salon's delivery, far below what a stock can hold.
const QUANTITY_MAX: u32 = 1_000_000;
