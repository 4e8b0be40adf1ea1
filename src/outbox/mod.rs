//! The outbox: tells the world of what has changed, at least once, in order for each booking.
//!
//! Entries come from the MVP's triggers or from the journal, in the transaction of the change. In a first step, entries are
//! planned: each becomes as many deliveries as there are targets that want to hear of it. Deliveries are then taken with a
//! lease, sent with no transaction open, and marked. Whoever dies in between leaves a lease that ends: the delivery is sent
//! again, under the same id.
//!
//! To add a handler: a [`Handler`] of its own in [`delivery`], a [`Sender`] in a folder here, and when it is wanted in
//! [`plan`].

pub mod email;
pub mod webhooks;

mod change;
mod delivery;
mod entry;
mod plan;
mod retry;
mod sending;
mod start;
mod store;
#[cfg(test)]
mod tests;
mod worker;

pub use change::KnownBooking;
pub use delivery::{Delivery, Handler, Mark, Message, NewDelivery, Outcome};
pub use entry::{BookingChange, Entry, Operation};
pub use plan::{Endpoint, Plan, Unplanned};
pub use retry::Schedule;
pub use sending::{Sender, SenderOf};
pub use start::{OutboxHouse, OutboxStartError, start};
pub use store::{Depth, OutboxStore, PlanEntries, Planned, Room, SalonWords};
pub use worker::{OutboxPorts, OutboxSettings, OutboxWorker};
