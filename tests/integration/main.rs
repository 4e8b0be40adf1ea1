//! All tests that need a real PostgreSQL or a real server: one binary, a module per capability.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod admin;
mod adopt;
mod audit;
mod booking;
mod connections;
mod crash;
mod database_tls;
mod day_view;
mod door;
mod embedded;
mod feed;
mod feed_running;
mod foreign;
mod isolation;
mod journal;
mod late_models;
mod law;
mod operations;
mod outbox;
mod past_bookings;
mod projection_saves;
mod redis;
mod reference;
mod schema;
mod schema_roles;
mod start_and_stop;
mod stock;
mod support;
mod totals;
mod trace;
mod upkeep;
mod write_model;
