//! What managers look at: the salon's figures, and what has to be ordered.

mod dashboard;
mod inventory;
mod period;
mod revenue;

pub use dashboard::{Dashboard, DashboardQuery, dashboard};
pub use inventory::{InventoryItem, InventoryQuery, inventory};
pub use period::Period;
pub use revenue::{Revenue, RevenueQuery, revenue};
