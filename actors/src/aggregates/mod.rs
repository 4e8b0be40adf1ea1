//! The aggregates. Each folder has the same files: `commands.rs`, `events.rs`, `state.rs`, `decide.rs`, `evolve.rs`.

pub mod loyalty_balance;
pub mod staff_utilisation;
pub mod stock_item;
