//! Working hours, which are local times, as instants.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::reference::{LocalInterval, StaffAvailability};
use crate::time::{DAY_MS, MINUTE_MS, Slot, Timestamp};

use super::StaffRefusal;

/// When a person works within a span of time. Time zones are asked once here, and not for each slot after that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingWindows {
    /// Sorted, and no two touch: hours that go on past midnight are one window.
    open: Vec<Slot>,
    /// Sorted, and no two touch.
    off: Vec<Slot>,
}

impl WorkingWindows {
    /// An instant is working time when the clock on the wall then shows a time within the day's hours. So the hour that
    /// the spring skips is nobody's working time, and the one that the autumn repeats is twice.
    pub fn within(span: Slot, availability: &StaffAvailability, zone: &TimeZone) -> WorkingWindows {
        let mut open = Vec::new();
        for stretch in stretches(span, zone) {
            stretch.collect_hours(availability, &mut open);
        }
        let off = availability.time_off.iter().filter(|off| off.overlaps(span)).copied().collect();
        WorkingWindows { open: merged(open), off: merged(off) }
    }

    /// `slot` must lie within the span that the windows were made for.
    pub fn check(&self, slot: Slot) -> Result<(), StaffRefusal> {
        let begun = self.open.partition_point(|window| window.start <= slot.start);
        if !self.open[..begun].last().is_some_and(|window| window.contains(slot)) {
            return Err(StaffRefusal::OutsideWorkingHours);
        }
        let over = self.off.partition_point(|off| off.end <= slot.start);
        if self.off.get(over).is_some_and(|off| off.overlaps(slot)) {
            return Err(StaffRefusal::TimeOff);
        }
        Ok(())
    }

    /// The working time less the time off.
    pub fn minutes(&self) -> u32 {
        let off_within = |window: Slot| -> i64 {
            self.off.iter().filter_map(|off| intersection(window, *off)).map(Slot::minutes).sum()
        };
        let minutes: i64 = self.open.iter().map(|window| window.minutes() - off_within(*window)).sum();
        u32::try_from(minutes).expect("a span of at most some months")
    }
}

/// `None` when no hours are on record for the day, which is always available.
pub(super) fn hours_on(date: Date, availability: &StaffAvailability) -> Option<&[LocalInterval]> {
    if let Some(hours) = availability.exceptions.get(&date) {
        return Some(hours);
    }
    let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).expect("0 to 6");
    availability.weekly.as_ref().map(|weekly| weekly[weekday].as_slice())
}

/// A part of a span in which the zone's offset from UTC stays the same: there, local time is a plain sum.
struct Stretch {
    span: Slot,
    offset_ms: i64,
}

fn stretches(span: Slot, zone: &TimeZone) -> Vec<Stretch> {
    let changes = zone.following(span.start.to_jiff()).map(|change| Timestamp::from_jiff(change.timestamp()));
    let mut stretches = Vec::with_capacity(1);
    let mut start = span.start;
    for end in changes.take_while(|change| *change < span.end).chain([span.end]) {
        let offset_ms = i64::from(zone.to_offset(start.to_jiff()).seconds()) * 1_000;
        stretches.push(Stretch { span: Slot { start, end }, offset_ms });
        start = end;
    }
    stretches
}

impl Stretch {
    fn collect_hours(&self, availability: &StaffAvailability, open: &mut Vec<Slot>) {
        let first_day = (self.span.start.as_millis() + self.offset_ms).div_euclid(DAY_MS);
        let last_day = (self.span.end.as_millis() + self.offset_ms - 1).div_euclid(DAY_MS);
        for day in first_day..=last_day {
            let midnight = Timestamp::from_millis(day * DAY_MS);
            let whole_day = [LocalInterval { start_minute: 0, end_minute: 1440 }];
            let hours = hours_on(midnight.date_in(&TimeZone::UTC), availability).unwrap_or(&whole_day);
            open.extend(hours.iter().filter_map(|hours| {
                let start = midnight.plus_millis(i64::from(hours.start_minute) * MINUTE_MS - self.offset_ms);
                let end = midnight.plus_millis(i64::from(hours.end_minute) * MINUTE_MS - self.offset_ms);
                intersection(self.span, Slot::new(start, end)?)
            }));
        }
    }
}

fn intersection(one: Slot, other: Slot) -> Option<Slot> {
    Slot::new(one.start.max(other.start), one.end.min(other.end))
}

fn merged(mut slots: Vec<Slot>) -> Vec<Slot> {
    slots.sort_unstable();
    slots.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    slots
}
