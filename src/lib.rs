//! The world around the stateful core.

pub mod auth;
pub mod postgres;
pub mod vault;
