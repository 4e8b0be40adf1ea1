//! The stateful core of CodecCloud: what decides, and what is folded from decisions.
//!
//! No SQL, no HTTP, no environment and no wall clock: all of that comes in through [`ports`].

pub mod ids;
pub mod time;
