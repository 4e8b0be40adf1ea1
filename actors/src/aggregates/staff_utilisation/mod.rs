//! A person's time: which slots are held, and how many minutes of each day are booked.

mod commands;
mod events;

pub use commands::{StaffCommand, StaffRefusal};
pub use events::{DayShare, ReleaseReason, SlotMoved, SlotReleased, SlotReserved, StaffUtilisationEvent};
