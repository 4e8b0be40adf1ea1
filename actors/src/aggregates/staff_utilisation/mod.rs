//! A person's time: which slots are held, and how many minutes of each day are booked.
//!
//! Listing what is free ([`bookable_slots`]) and deciding a reservation share [`Openings::check`], so they can't
//! disagree. Projections fold the same [`Calendar`] and [`DayTotals`] as the aggregate.

mod availability;
mod calendar;
mod commands;
mod day_totals;
mod days;
mod decide;
mod events;
mod evolve;
mod hours;
mod rows;
mod state;
#[cfg(test)]
mod tests;

pub use availability::{Openings, SlotQuery, bookable_slots};
pub use calendar::{Buffers, Calendar, Reservation};
pub use commands::{StaffCommand, StaffRefusal};
pub use day_totals::{DayTotals, PeriodTotal};
pub use days::{day_shares, local_days};
pub use events::{DayShare, ReleaseReason, SlotMoved, SlotReleased, SlotReserved, StaffUtilisationEvent};
pub use hours::WorkingWindows;
pub use state::StaffUtilisation;
