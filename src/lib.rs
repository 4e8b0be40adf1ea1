//! The world around the stateful core.

pub mod load;
