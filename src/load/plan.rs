//! Which slot each booking asks for.
//!
//! Ordinary bookings get free slots by construction: each person's days are filled from opening time on, visited in an
//! order that spreads them over the horizon. So a refusal of one is news about the server, not about the plan.
//! Popular slots are asked for again and again, and mostly refused: that is their purpose.

use codeccloud_actors::time::{DAY_MS, MINUTE_MS, Slot, Timestamp};

use super::args::Hours;
use super::random::Random;

const HOT_DAYS: usize = 3;

/// The days that bookings are spread over.
#[derive(Debug, Clone, Copy)]
pub struct Horizon {
    /// A midnight, UTC.
    pub first: Timestamp,
    pub days: usize,
    pub hours: Hours,
}

impl Horizon {
    /// `days` days from the one after `now`.
    pub fn from_tomorrow(now: Timestamp, days: u16, hours: Hours) -> Horizon {
        let tomorrow = now.as_millis().div_euclid(DAY_MS) + 1;
        Horizon { first: Timestamp::from_millis(tomorrow * DAY_MS), days: usize::from(days), hours }
    }

    pub fn day(self, index: usize) -> Slot {
        let start = self.at(index, 0);
        Slot { start, end: start.plus_millis(DAY_MS) }
    }

    pub fn whole(self) -> Slot {
        Slot { start: self.first, end: self.day(self.days - 1).end }
    }

    fn at(self, day: usize, minute: u16) -> Timestamp {
        let day = i64::try_from(day).expect("at most ten years of days");
        self.first.plus_millis(day * DAY_MS + i64::from(minute) * MINUTE_MS)
    }

    /// The slot within a stretch of `span` that begins at `minute`.
    fn slot(self, day: usize, minute: u16, span: Span) -> Slot {
        let start = minute + span.before;
        Slot { start: self.at(day, start), end: self.at(day, start + span.minutes) }
    }
}

/// How long a booking of a service keeps a person busy: its slot, and the buffers around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub before: u16,
    pub minutes: u16,
    pub after: u16,
}

impl Span {
    pub fn fits(self, hours: Hours) -> bool {
        self.total() <= hours.closes_minute - hours.opens_minute
    }

    fn total(self) -> u16 {
        self.before + self.minutes + self.after
    }
}

/// Hands out slots. People are numbered as in [`Cast`](super::cast::Cast).
pub struct Slots {
    horizon: Horizon,
    calendars: Vec<Calendar>,
    /// People who have a free slot left, as far as is known.
    free: Vec<usize>,
    handed_out: u64,
}

struct Calendar {
    /// Per day the first minute that nothing is booked at or after.
    free_from: Box<[u16]>,
    next_day: usize,
}

impl Slots {
    pub fn new(horizon: Horizon, people: usize) -> Slots {
        let calendar = |person| Calendar {
            free_from: vec![horizon.hours.opens_minute; horizon.days].into(),
            // People start on different days, so that a short run doesn't fill everybody's tomorrow first.
            next_day: person % horizon.days,
        };
        Slots { horizon, calendars: (0..people).map(calendar).collect(), free: (0..people).collect(), handed_out: 0 }
    }

    /// Keeps clear of a booking that exists already, its buffers included, at the price of the gaps before it.
    pub fn occupy(&mut self, person: usize, taken: Slot) {
        let offset_minutes = |instant: Timestamp| (instant.as_millis() - self.horizon.first.as_millis()) / MINUTE_MS;
        let (day_minutes, hours) = (DAY_MS / MINUTE_MS, self.horizon.hours);
        let (start, end) = (offset_minutes(taken.start), offset_minutes(taken.end));
        for (day, free_from) in (0_i64..).zip(&mut self.calendars[person].free_from) {
            let opens = day * day_minutes + i64::from(hours.opens_minute);
            let closes = day * day_minutes + i64::from(hours.closes_minute);
            if start < closes && end > opens {
                let minute = u16::try_from(end.min(closes) - day * day_minutes).expect("a minute of one day");
                *free_from = minute.max(*free_from);
            }
        }
    }

    /// Leaves this person's first days to [`HotSlots`].
    pub fn reserve_hot_days(&mut self, person: usize) {
        let hot_days = HOT_DAYS.min(self.horizon.days);
        self.calendars[person].free_from[..hot_days].fill(self.horizon.hours.closes_minute);
    }

    /// Somebody and a slot of theirs that nothing else in this plan overlaps; `None` once the horizon is exhausted.
    /// `span` draws what is booked with that person.
    pub fn take(&mut self, random: &mut Random, mut span: impl FnMut(&mut Random, usize) -> Span) -> Option<Aim> {
        while !self.free.is_empty() {
            let pick = random.below(self.free.len());
            let person = self.free[pick];
            let span = span(random, person);
            if let Some((day, minute)) = self.calendars[person].take(span.total(), self.horizon.hours.closes_minute) {
                self.handed_out += 1;
                return Some(Aim { person, slot: self.horizon.slot(day, minute, span) });
            }
            self.free.swap_remove(pick);
        }
        None
    }

    pub fn handed_out(&self) -> u64 {
        self.handed_out
    }
}

impl Calendar {
    /// A day and a minute with `minutes` free after it.
    fn take(&mut self, minutes: u16, closes_minute: u16) -> Option<(usize, u16)> {
        let days = self.free_from.len();
        for _ in 0..days {
            let day = self.next_day;
            self.next_day = (day + day_stride(days)) % days;
            let start = self.free_from[day];
            if minutes <= closes_minute.saturating_sub(start) {
                self.free_from[day] = start + minutes;
                return Some((day, start));
            }
        }
        None
    }
}

/// A step that visits every day before it returns to the first: near the golden section of the horizon, which keeps
/// any number of consecutive visits well spread, and without a common divisor.
fn day_stride(days: usize) -> usize {
    let common_divisor = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (days * 618 / 1_000..).find(|&stride| stride > 0 && common_divisor(stride, days) == 1).expect("days + 1 has none")
}

/// A person and the slot to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    pub person: usize,
    pub slot: Slot,
}

/// The popular slots of one person: the first days, back to back.
#[derive(Debug, Clone, Copy)]
pub struct HotSlots {
    pub person: usize,
    /// All alike, so that two popular slots are the same or apart.
    pub span: Span,
}

impl HotSlots {
    pub fn aim(self, horizon: Horizon, random: &mut Random) -> Aim {
        let day = random.below(HOT_DAYS.min(horizon.days));
        let Hours { opens_minute, closes_minute } = horizon.hours;
        let per_day = (closes_minute - opens_minute) / self.span.total();
        let index = u16::try_from(random.below(usize::from(per_day))).expect("slots of one day");
        Aim { person: self.person, slot: horizon.slot(day, opens_minute + index * self.span.total(), self.span) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn horizon(days: u16) -> Horizon {
        let hours = Hours { opens_minute: 480, closes_minute: 1_080 };
        Horizon::from_tomorrow("2030-01-01T22:15:00Z".parse().expect("an instant"), days, hours)
    }

    fn span(minutes: u16) -> Span {
        Span { before: 0, minutes, after: 0 }
    }

    fn all(slots: &mut Slots) -> Vec<Aim> {
        let mut random = Random::new(3, 0);
        let durations = [30, 45, 60, 20];
        std::iter::from_fn(|| slots.take(&mut random, |random, _| span(durations[random.below(4)]))).collect()
    }

    fn overlapping(aims: &[Aim], person: usize) -> Option<(Slot, Slot)> {
        let mut slots: Vec<Slot> = aims.iter().filter(|aim| aim.person == person).map(|aim| aim.slot).collect();
        slots.sort();
        slots.windows(2).find(|pair| pair[0].overlaps(pair[1])).map(|pair| (pair[0], pair[1]))
    }

    #[test]
    fn the_whole_horizon_is_handed_out_without_an_overlap() {
        let horizon = horizon(31);
        let mut slots = Slots::new(horizon, 3);
        let aims = all(&mut slots);
        assert_eq!(slots.handed_out(), aims.len() as u64);
        for person in 0..3 {
            assert_eq!(overlapping(&aims, person), None);
            let minutes: i64 = aims.iter().filter(|aim| aim.person == person).map(|aim| aim.slot.minutes()).sum();
            assert!(minutes > 31 * 540, "only {minutes} of {} minutes handed out", 31 * 600);
        }
        for aim in &aims {
            assert!(horizon.whole().contains(aim.slot));
            let minute = aim.slot.start.as_millis().rem_euclid(DAY_MS) / MINUTE_MS;
            assert!((480..1_080).contains(&minute) && minute + aim.slot.minutes() <= 1_080);
        }
    }

    #[test]
    fn buffers_fit_between_slots_and_into_the_day() {
        let horizon = horizon(2);
        let mut slots = Slots::new(horizon, 1);
        let (mut random, span) = (Random::new(3, 0), Span { before: 10, minutes: 40, after: 15 });
        let aims: Vec<Aim> = std::iter::from_fn(|| slots.take(&mut random, |_, _| span)).collect();
        let busy = |aim: &Aim| Aim { slot: aim.slot.widened(10, 15), ..*aim };
        assert_eq!(aims.len(), 2 * (600 / 65));
        assert!(aims.iter().all(|aim| aim.slot.minutes() == 40));
        assert_eq!(overlapping(&aims.iter().map(busy).collect::<Vec<_>>(), 0), None);
        assert_eq!(aims[0].slot.start, horizon.at(0, 490));
    }

    #[test]
    fn existing_bookings_and_popular_days_are_left_alone() {
        let horizon = horizon(10);
        let mut slots = Slots::new(horizon, 1);
        slots.reserve_hot_days(0);
        let noon = horizon.slot(5, 720, span(60));
        let over_night = Slot { start: horizon.at(7, 1_070), end: horizon.at(8, 500) };
        let in_the_evening = horizon.slot(9, 1_200, span(30));
        for taken in [noon, over_night, in_the_evening] {
            slots.occupy(0, taken);
        }
        let aims = all(&mut slots);
        for aim in &aims {
            assert!(!aim.slot.overlaps(noon) && !aim.slot.overlaps(over_night));
            assert!(aim.slot.start >= horizon.day(3).start, "{aim:?} lies on a popular day");
        }
        assert!(aims.iter().any(|aim| horizon.day(9).contains(aim.slot)), "an evening booking closed the day");
    }

    #[test]
    fn popular_slots_are_few_and_the_same_or_apart() {
        let (horizon, mut random) = (horizon(30), Random::new(5, 0));
        let hot = HotSlots { person: 4, span: Span { before: 5, minutes: 30, after: 10 } };
        let mut asked: Vec<Aim> = (0..1_000).map(|_| hot.aim(horizon, &mut random)).collect();
        asked.sort_by_key(|aim| aim.slot);
        asked.dedup();
        assert_eq!(asked.len(), HOT_DAYS * 13);
        assert_eq!(overlapping(&asked, 4), None);
    }

    #[test]
    fn any_number_of_days_is_visited_once_around() {
        for days in 1..400 {
            let mut visited = vec![false; days];
            let mut day = 0;
            for _ in 0..days {
                visited[day] = true;
                day = (day + day_stride(days)) % days;
            }
            assert!(visited.iter().all(|&seen| seen), "{days} days");
        }
    }
}
