//! The world around the core: adapters, HTTP, migration and the command line.

pub mod ports;
pub mod postgres;
