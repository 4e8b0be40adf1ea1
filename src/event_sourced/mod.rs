//! Commands and queries in scale mode: commands go to actors, queries to projections.

mod bookings;
mod commands;
mod in_flight;
mod past;
mod points;
mod queries;
mod remembering;

pub use commands::{CommandPorts, EventSourcedCommands};
pub use past::PastBookings;
pub use queries::{EventSourcedQueries, QueryPorts};
pub use remembering::{RememberingIdempotency, RememberingJournal};
