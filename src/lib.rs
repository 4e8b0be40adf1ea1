//! The world around the stateful core: adapters, HTTP, migration and the command line.

pub mod load;
//ports
pub mod postgres;
pub mod settings;
pub mod telemetry;
