//! The world around the stateful core: adapters, HTTP, migration and the command line.

pub mod admin;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod demo;
pub mod event_sourced;
pub mod http;
pub mod load;
pub mod ports;
pub mod postgres;
pub mod settings;
pub mod telemetry;
pub mod vault;
