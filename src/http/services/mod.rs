//! Services: what can be booked.

mod change;
mod read;
mod service;

pub use change::{ChangeService, CreateService, change, create};
pub use read::{ServiceQuery, get, list};
pub use service::Service;
