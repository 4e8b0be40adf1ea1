//! Bookings: what front-ends call most.

mod availability;
mod changes;
mod create;
mod read;
mod types;

pub use availability::{Availability, AvailabilityQuery, availability};
pub use changes::{
    CancelBooking, RescheduleBooking, cancel, check_in, complete, confirm, mark_no_show, reschedule,
};
pub use create::{CreateBooking, create};
pub use read::{BookingQuery, get, list, search};
pub use types::{Booking, BookingChanged};
