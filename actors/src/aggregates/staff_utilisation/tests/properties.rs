use std::collections::HashMap;

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::aggregate::{Aggregate, Context};
use crate::ids::BookingId;
use crate::reference::{LocalInterval, StaffAvailability, TenantReference};
use crate::testing::{ANNA, COLOUR, context, salon};
use crate::time::{MINUTE_MS, start_of_day};

/// Around each change of the clocks, and in a week without one.
fn any_day() -> impl Strategy<Value = jiff::civil::Date> {
    prop_oneof![
        (26..=29_i8).prop_map(|day| date(2027, 3, day)),
        (29..=31_i8).prop_map(|day| date(2027, 10, day)),
        (7..=14_i8).prop_map(|day| date(2027, 6, day)),
    ]
}

fn any_hours() -> impl Strategy<Value = Vec<LocalInterval>> {
    let interval = (0..1_440_u16, 1..900_u16).prop_map(|(start_minute, length)| LocalInterval {
        start_minute: start_minute / 15 * 15,
        end_minute: (start_minute / 15 * 15 + length).min(1_440),
    });
    prop::collection::vec(interval, 0..3)
}

/// For the three days from `day` on.
fn any_availability(day: jiff::civil::Date) -> impl Strategy<Value = StaffAvailability> {
    let start = start_of_day(day, &salon().zone);
    let weekly = prop::option::of(prop::collection::vec(any_hours(), 7));
    let exception = prop::option::of((0..3_i64, any_hours()));
    let time_off = prop::collection::vec((0..4_000_i64, 1..600_i64), 0..3);
    (weekly, exception, time_off).prop_map(move |(weekly, exception, time_off)| {
        let mut time_off: Vec<Slot> = time_off
            .into_iter()
            .map(|(offset, length)| Slot {
                start: start.plus_minutes(offset),
                end: start.plus_minutes(offset + length),
            })
            .collect();
        time_off.sort_unstable();
        StaffAvailability {
            weekly: weekly.map(|weekly| weekly.try_into().expect("seven days")),
            exceptions: exception
                .map(|(after, hours)| (day.saturating_add(jiff::Span::new().days(after)), hours))
                .into_iter()
                .collect(),
            time_off,
        }
    })
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Reserve { booking: u128, colour: bool, offset_minutes: i64 },
    Move { booking: u128, offset_minutes: i64 },
    Release { booking: u128, reason: ReleaseReason },
}

/// Within two days, of a dozen bookings that meet each other often.
fn any_step() -> impl Strategy<Value = Step> {
    let (booking, offset) = (|| 0..12_u128, || (0..576_i64).prop_map(|steps| steps * 5));
    let reason = prop::sample::select(vec![ReleaseReason::Cancelled, ReleaseReason::NoShow, ReleaseReason::Completed]);
    prop_oneof![
        4 => (booking(), any::<bool>(), offset())
            .prop_map(|(booking, colour, offset_minutes)| Step::Reserve { booking, colour, offset_minutes }),
        2 => (booking(), offset()).prop_map(|(booking, offset_minutes)| Step::Move { booking, offset_minutes }),
        1 => (booking(), reason).prop_map(|(booking, reason)| Step::Release { booking, reason }),
    ]
}

/// The aggregate, and beside it what a plain list of bookings says.
struct Salon {
    context: Context,
    start: Timestamp,
    state: StaffUtilisation,
    held: HashMap<BookingId, (ServiceId, Slot)>,
    completed_minutes: i64,
}

impl Salon {
    fn open(day: jiff::civil::Date, availability: StaffAvailability) -> Salon {
        let mut reference: TenantReference = salon();
        let start = start_of_day(day, &reference.zone);
        reference.staff.get_mut(&ANNA).unwrap().availability = availability;
        let context = context(reference);
        Salon { context, start, state: StaffUtilisation::default(), held: HashMap::new(), completed_minutes: 0 }
    }

    fn slot(&self, service_id: ServiceId, offset_minutes: i64) -> Slot {
        let start = self.start.plus_minutes(offset_minutes);
        let minutes = self.context.reference.services[&service_id].duration_minutes;
        Slot { start, end: start.plus_minutes(minutes.into()) }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Reserve { booking, colour, offset_minutes } => {
                let service_id = if colour { COLOUR } else { HAIRCUT };
                let slot = self.slot(service_id, offset_minutes);
                if self.decide(&reserve(ANNA, booking, service_id, slot)) {
                    self.held.insert(booking_id(booking), (service_id, slot));
                }
            }
            Step::Move { booking, offset_minutes } => {
                let booking_id = booking_id(booking);
                let Some((service_id, from)) = self.held.get(&booking_id).copied() else { return };
                let to = self.slot(service_id, offset_minutes);
                let service = Some(service_id);
                if self.decide(&StaffCommand::Move { staff_id: ANNA, booking_id, service_id: service, from, to }) {
                    self.held.insert(booking_id, (service_id, to));
                }
            }
            Step::Release { booking, reason } => {
                let Some((_, slot)) = self.held.remove(&booking_id(booking)) else { return };
                assert!(self.decide(&release(ANNA, booking, slot, reason)));
                if reason == ReleaseReason::Completed {
                    self.completed_minutes += slot.minutes();
                }
            }
        }
    }

    /// Whether it was accepted.
    fn decide(&mut self, command: &StaffCommand) -> bool {
        let Ok(decision) = self.state.decide(command, &self.context, self.start) else { return false };
        for event in decision.events {
            self.state.evolve(&event, self.start);
        }
        true
    }
}

/// What the wall clock shows at each minute of the slot, one by one.
fn works_throughout(slot: Slot, availability: &StaffAvailability, zone: &jiff::tz::TimeZone) -> bool {
    (0..slot.minutes()).all(|minute| {
        let local = zone.to_datetime(slot.start.plus_minutes(minute).to_jiff());
        let weekday = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap();
        let weekly = availability.weekly.as_ref().map(|weekly| &weekly[weekday]);
        let minute = u16::try_from(local.hour()).unwrap() * 60 + u16::try_from(local.minute()).unwrap();
        availability
            .exceptions
            .get(&local.date())
            .or(weekly)
            .is_none_or(|hours| hours.iter().any(|hours| (hours.start_minute..hours.end_minute).contains(&minute)))
    })
}

fn any_salon() -> impl Strategy<Value = Salon> {
    let day_and_hours = any_day().prop_flat_map(|day| any_availability(day).prop_map(move |hours| (day, hours)));
    (day_and_hours, prop::collection::vec(any_step(), 0..60)).prop_map(|((day, availability), steps)| {
        let mut salon = Salon::open(day, availability);
        steps.into_iter().for_each(|step| salon.take(step));
        salon
    })
}

impl std::fmt::Debug for Salon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let availability = &self.context.reference.staff[&ANNA].availability;
        write!(f, "from {:?}: {availability:?} {:?}", self.start, self.held)
    }
}

proptest! {
    #[test]
    fn what_is_listed_can_be_reserved_and_nothing_else(salon in any_salon(), granularity in 5..180_u32) {
        let reference = &salon.context.reference;
        for service_id in [HAIRCUT, COLOUR] {
            let (member, service) = (&reference.staff[&ANNA], &reference.services[&service_id]);
            let span = Slot { start: salon.start.plus_minutes(100), end: salon.start.plus_minutes(3_000) };
            let query = SlotQuery { span, granularity_minutes: granularity, now: salon.start };
            let listed = bookable_slots(&salon.state.calendar, reference, member, service, &query);
            let mut candidates = Vec::new();
            for (_, day) in local_days(span, &reference.zone) {
                let starts = (0..).map(|index| day.start.plus_minutes(index * i64::from(granularity)));
                candidates.extend(starts.take_while(|start| *start < day.end));
            }
            let length = i64::from(service.duration_minutes);
            let bookable: Vec<Slot> = candidates
                .into_iter()
                .map(|start| Slot { start, end: start.plus_minutes(length) })
                .filter(|slot| span.contains(*slot))
                .filter(|slot| salon.state.decide(&reserve(ANNA, 99, service_id, *slot), &salon.context, salon.start).is_ok())
                .collect();
            prop_assert_eq!(listed, bookable);
        }
    }

    #[test]
    fn whatever_is_asked_no_two_reservations_overlap(salon in any_salon()) {
        let mut occupied: Vec<Slot> = salon.held.values().map(|(service_id, slot)| {
            let service = &salon.context.reference.services[service_id];
            slot.widened(service.buffer_before_minutes, service.buffer_after_minutes)
        }).collect();
        occupied.sort_unstable();
        prop_assert!(occupied.windows(2).all(|pair| pair[0].end <= pair[1].start));
        let on_calendar: Vec<Slot> = salon.state.calendar.reservations().iter().map(Reservation::occupied).collect();
        prop_assert_eq!(on_calendar, occupied);
    }

    #[test]
    fn booked_minutes_are_those_of_the_bookings(salon in any_salon()) {
        let held: i64 = salon.held.values().map(|(_, slot)| slot.minutes()).sum();
        prop_assert_eq!(salon.state.days.booked_minutes(), u64::try_from(held + salon.completed_minutes).unwrap());
    }

    #[test]
    fn a_snapshot_brings_the_state_back(salon in any_salon()) {
        let snapshot = rmp_serde::to_vec(&salon.state).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<StaffUtilisation>(&snapshot).unwrap(), salon.state);
    }

    #[test]
    fn hours_are_what_the_clock_on_the_wall_shows(
        (day, availability) in any_day().prop_flat_map(|day| (Just(day), any_availability(day))),
        zone in prop::sample::select(vec!["Europe/Zurich", "America/New_York", "Australia/Lord_Howe"]),
        offset in 0..3_000_i64,
        minutes in 1..300_i64,
    ) {
        let zone = jiff::tz::TimeZone::get(zone).unwrap();
        let start = start_of_day(day, &zone).plus_minutes(offset);
        let slot = Slot { start, end: start.plus_millis(minutes * MINUTE_MS) };
        let (works, off) = (
            works_throughout(slot, &availability, &zone),
            availability.time_off.iter().any(|off| off.overlaps(slot)),
        );
        let expected = match (works, off) {
            (false, _) => Err(StaffRefusal::OutsideWorkingHours),
            (true, true) => Err(StaffRefusal::TimeOff),
            (true, false) => Ok(()),
        };
        for span in [slot, slot.widened(700, 700)] {
            prop_assert_eq!(WorkingWindows::within(span, &availability, &zone).check(slot), expected.clone());
        }
    }
}
