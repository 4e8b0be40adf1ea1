//! For tests of the core and of what is built on it: a clock and ids that repeat, a salon, and given / when / then.

mod clock;
mod given;
mod ids;
mod memory;
mod salon;

pub use clock::ManualClock;
pub use given::{Given, Then};
pub use ids::SeededIds;
pub use memory::{Fault, MemoryStore};
pub use salon::{
    ANNA, BALM, BEA, COLOUR, HAIRCUT, MASSAGE, SHAMPOO, WAX, booking_id, context, product, salon, service, slot,
    staff_member, time,
};
