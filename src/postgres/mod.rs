//! The adapters that keep things in PostgreSQL, one file a port.

pub mod vault;
