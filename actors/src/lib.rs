//! The stateful core of CodecCloud: what decides, and what is folded from decisions.
//!
//! No SQL, no HTTP, no environment and no wall clock: all of that comes in through [`ports`].

pub mod aggregate;
pub mod aggregates;
pub mod answer;
pub mod command;
pub mod envelope;
pub mod event;
pub mod ids;
pub mod metrics_catalogue;
pub mod money;
pub mod ports;
pub mod projections;
pub mod reference;
pub mod refusal;
pub mod rows;
pub mod runtime;
pub mod sagas;
pub mod stage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod trace;
pub mod upcast;
