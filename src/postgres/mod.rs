//! The PostgreSQL adapter.

pub mod schema;
