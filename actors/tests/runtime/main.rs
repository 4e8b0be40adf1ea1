//! The runtime over a store in memory.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod appends;
mod bounds;
mod counters;
mod house;
mod outcomes;
mod panics;
mod passivation;
mod projections;
mod snapshots;
mod supervision;
