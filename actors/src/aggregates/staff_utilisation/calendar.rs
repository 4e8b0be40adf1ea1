use serde::{Deserialize, Serialize};

use crate::ids::{BookingId, ServiceId};
use crate::reference::Service;
use crate::time::{DAY_MS, Slot, Timestamp};

use super::{StaffRefusal, StaffUtilisationEvent};

/// How long a slot that is over stays known on its own. Bookings that are completed, cancelled or marked as no-show leave
/// at once; this bounds those that nobody ever closes.
const KEPT_DAYS: i64 = 62;

/// The slots that a person's open bookings hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Calendar {
    /// Sorted by the start of what they occupy. They don't overlap, except in history that was brought in.
    reservations: Vec<Reservation>,
    /// No reservation occupies more than this: it bounds how far back the search for an overlap looks.
    longest_ms: i64,
    /// Slots that ended before this are not kept.
    kept_since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub booking_id: BookingId,
    pub service_id: Option<ServiceId>,
    pub slot: Slot,
    pub buffers: Buffers,
}

/// Time that a service needs around its slot, to prepare and to clean up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Buffers {
    pub before_minutes: u32,
    pub after_minutes: u32,
}

impl Buffers {
    pub fn of(service: &Service) -> Buffers {
        Buffers { before_minutes: service.buffer_before_minutes, after_minutes: service.buffer_after_minutes }
    }

    fn around(self, slot: Slot) -> Slot {
        slot.widened(self.before_minutes, self.after_minutes)
    }
}

impl Reservation {
    /// The slot with its buffers: what no other reservation's may overlap.
    pub fn occupied(&self) -> Slot {
        self.buffers.around(self.slot)
    }
}

impl Calendar {
    /// Of reservations that are kept elsewhere.
    pub fn of(reservations: impl IntoIterator<Item = Reservation>) -> Calendar {
        let mut calendar = Calendar::default();
        reservations.into_iter().for_each(|reservation| calendar.hold(reservation));
        calendar
    }

    /// Whether `slot` is free, with its buffers and those of its neighbours. The reservation of `moving` is overlooked.
    pub fn check(&self, slot: Slot, buffers: Buffers, moving: Option<BookingId>) -> Result<(), StaffRefusal> {
        let mut answer = Ok(());
        for other in self.occupying(buffers.around(slot)).filter(|other| Some(other.booking_id) != moving) {
            if other.slot.overlaps(slot) {
                return Err(StaffRefusal::SlotTaken);
            }
            answer = Err(StaffRefusal::BufferHit);
        }
        answer
    }

    /// The reservations that occupy some of `span`, latest first.
    pub fn occupying(&self, span: Slot) -> impl Iterator<Item = &Reservation> {
        let begun = self.reservations.partition_point(|reservation| reservation.occupied().start < span.end);
        let earliest = span.start.plus_millis(-self.longest_ms);
        let candidates = self.reservations[..begun].iter().rev();
        candidates
            .take_while(move |reservation| reservation.occupied().start > earliest)
            .filter(move |reservation| reservation.occupied().overlaps(span))
    }

    pub fn reservation(&self, booking_id: BookingId) -> Option<&Reservation> {
        self.reservations.iter().find(|reservation| reservation.booking_id == booking_id)
    }

    /// The slot that the booking holds here, which is `remembered` when that is too long past to be kept. `None` when it
    /// holds none: it has been released, or never was here.
    pub fn slot_of(&self, booking_id: BookingId, remembered: Slot) -> Option<Slot> {
        match self.reservation(booking_id) {
            Some(reservation) => Some(reservation.slot),
            None => (!self.keeps(remembered)).then_some(remembered),
        }
    }

    /// Sorted by the start of what they occupy.
    pub fn reservations(&self) -> &[Reservation] {
        &self.reservations
    }

    pub fn apply(&mut self, event: &StaffUtilisationEvent, occurred_at: Timestamp) {
        self.forget_before(occurred_at);
        match event {
            StaffUtilisationEvent::Reserved(event) => self.hold(Reservation {
                booking_id: event.booking_id,
                service_id: event.service_id,
                slot: event.slot,
                buffers: Buffers {
                    before_minutes: event.buffer_before_minutes,
                    after_minutes: event.buffer_after_minutes,
                },
            }),
            StaffUtilisationEvent::Moved(event) => self.hold(Reservation {
                booking_id: event.booking_id,
                service_id: event.service_id,
                slot: event.to,
                buffers: Buffers {
                    before_minutes: event.buffer_before_minutes,
                    after_minutes: event.buffer_after_minutes,
                },
            }),
            StaffUtilisationEvent::Released(event) => self.let_go(event.booking_id),
        }
    }

    /// A booking holds one slot: a new one takes the place of the old.
    fn hold(&mut self, reservation: Reservation) {
        self.let_go(reservation.booking_id);
        if self.keeps(reservation.slot) {
            let occupied = reservation.occupied();
            let index = self.reservations.partition_point(|other| other.occupied().start <= occupied.start);
            self.reservations.insert(index, reservation);
            self.longest_ms = self.longest_ms.max(millis(occupied));
        }
    }

    fn let_go(&mut self, booking_id: BookingId) {
        if let Some(index) = self.reservations.iter().position(|held| held.booking_id == booking_id) {
            self.reservations.remove(index);
        }
    }

    fn keeps(&self, slot: Slot) -> bool {
        slot.end >= self.kept_since
    }

    /// Works in whole days, so that it costs nothing with most events.
    fn forget_before(&mut self, occurred_at: Timestamp) {
        let today = occurred_at.as_millis().div_euclid(DAY_MS);
        let since = Timestamp::from_millis((today - KEPT_DAYS) * DAY_MS);
        if since > self.kept_since {
            self.kept_since = since;
            self.reservations.retain(|reservation| reservation.slot.end >= since);
            self.longest_ms = self.reservations.iter().map(|kept| millis(kept.occupied())).max().unwrap_or(0);
        }
    }
}

fn millis(slot: Slot) -> i64 {
    slot.end.as_millis() - slot.start.as_millis()
}
