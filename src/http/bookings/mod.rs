//! Bookings: what front-ends call most.

mod availability;
mod booking;
mod changes;
mod create;
mod read;

pub use availability::{Availability, AvailabilityQuery, availability};
pub use booking::{Booking, BookingChanged};
pub use changes::{CancelBooking, RescheduleBooking, cancel, check_in, complete, confirm, mark_no_show, reschedule};
pub use create::{CreateBooking, create};
pub use read::{BookingQuery, get, list, search};
