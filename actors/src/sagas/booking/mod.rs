//! A booking from its creation to its end.

mod commands;
mod events;
mod state;

pub use commands::{BookingCommand, BookingRefusal};
pub use events::{
    BookingCancelled, BookingCheckedIn, BookingCompleted, BookingConfirmed, BookingEvent, BookingNoShow,
    BookingRescheduled, BookingScheduled,
};
pub use state::{BookingDetails, BookingSaga, BookingStatus};
