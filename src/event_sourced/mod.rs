//! Commands and queries in scale mode: commands go to actors, queries to projections.

mod actors;
mod bookings;
mod figures;
mod history;
mod past;
mod points;
mod queries;
mod remembering;
mod stock;

pub use actors::Actors;
pub use past::PastBookings;
pub use queries::{EventSourcedQueries, QueryPorts};
pub use remembering::{RememberingIdempotency, RememberingJournal};
