//! The world around the stateful core: adapters, HTTP, migration and the command line.

pub mod settings;
pub mod telemetry;
