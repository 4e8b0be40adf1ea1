//! MVP mode: aggregates kept in rows. A command is one transaction, in the role and under the claims of whoever asks: the
//! state is loaded under lock, the aggregates decide as they do in scale mode, and the row writer writes what they decided.

mod callers;
mod commands;
mod deciding;
mod figures;
mod lists;
mod months;
mod places;
mod queries;
mod reading;
mod refused;
mod rows;
mod stock;
mod transaction;

pub(super) use callers::Turn;
pub use callers::{CallerPool, CallerPools};
pub use commands::{TransactionalCommands, TransactionalPorts};
pub use months::PostgresMonths;
pub use queries::{TransactionalQueries, TransactionalQueryPorts};
