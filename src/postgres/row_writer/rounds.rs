//! Which changes of appointments may be one statement. Within a statement there is no order, and the exclusion of overlaps
//! is checked row by row: what takes a slot comes after what has let go of it.

use std::collections::HashMap;

use codeccloud_actors::ids::{BookingId, StaffId, TenantId};

#[derive(Default)]
pub(super) struct Rounds {
    of_bookings: HashMap<(TenantId, BookingId), i32>,
    of_staff: HashMap<(TenantId, StaffId), Last>,
}

#[derive(Clone, Copy)]
struct Last {
    round: i32,
    is_new: bool,
}

impl Rounds {
    /// New appointments of a person don't overlap, so they share a round; a change of one waits for all before it.
    pub fn next(&mut self, tenant_id: TenantId, staff_id: StaffId, booking_id: BookingId, is_new: bool) -> i32 {
        let after_booking = self.of_bookings.get(&(tenant_id, booking_id)).map_or(1, |round| round + 1);
        let after_staff = match self.of_staff.get(&(tenant_id, staff_id)) {
            None => 1,
            Some(last) if last.is_new && is_new => last.round,
            Some(last) => last.round + 1,
        };
        let round = after_booking.max(after_staff);
        self.of_bookings.insert((tenant_id, booking_id), round);
        self.of_staff.insert((tenant_id, staff_id), Last { round, is_new });
        round
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_takes_a_slot_comes_after_what_lets_go_of_it() {
        let tenant = TenantId(Uuid::from_u128(1));
        let (anna, beat) = (StaffId(Uuid::from_u128(2)), StaffId(Uuid::from_u128(3)));
        let booking = |n| BookingId(Uuid::from_u128(n));
        let mut rounds = Rounds::default();
        let mut next = |staff, n, is_new| rounds.next(tenant, staff, booking(n), is_new);
        assert_eq!([next(anna, 10, true), next(anna, 11, true), next(beat, 12, true)], [1, 1, 1]);
        assert_eq!([next(anna, 10, false), next(anna, 13, true), next(anna, 14, true)], [2, 3, 3]);
        assert_eq!([next(beat, 12, false), next(beat, 12, false)], [2, 3]);
    }
}
