//! The world around the stateful core: adapters, HTTP, migration and the command line.

pub mod admin;
pub mod app;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod demo;
pub mod event_sourced;
mod generations;
pub mod http;
pub mod in_process;
pub mod load;
pub mod outbox;
pub mod ports;
pub mod postgres;
pub mod queries;
pub mod redis;
pub mod settings;
pub mod telemetry;
pub mod vault;

/// A request allocates some hundred times and frees on another thread; glibc's allocator took a fifth of the server's time.
/// Here rather than in `main`, so that benchmarks measure with it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
