//! Staff: people, when they work, and how busy they are.

mod hours;
mod interval;
mod invite;
mod members;
mod staff_member;
mod time_off;
mod utilisation;

pub use hours::{ExceptionHours, WorkingHours, clear_exception, get_hours, put_exception, put_hours};
pub use invite::{Invitation, Invited, invite};
pub use members::{ChangeStaff, CreateStaff, StaffQuery, change, create, get, list};
pub use staff_member::StaffMember;
pub use time_off::{NewTimeOff, TimeOff, add_time_off, list_time_off, remove_time_off};
pub use utilisation::{UtilisationDay, UtilisationQuery, utilisation};
