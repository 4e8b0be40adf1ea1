//! The sagas: aggregates that drive other aggregates, and later outside services. The same files as in `aggregates/`.

pub mod booking;
