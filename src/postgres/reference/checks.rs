//! What a change must hold to beyond its types; the door checks most of it too, for all fields at once.

use std::ops::RangeInclusive;

use codeccloud_actors::money::Money;

use crate::ports::{ReferenceError, WorkingHours};

const NAME_LENGTH_MAX: usize = 120;
const DAY_MINUTES: u16 = 24 * 60;

pub(super) fn name(field: &'static str, text: &str) -> Result<(), ReferenceError> {
    if text.trim().is_empty() {
        return Err(invalid(field, "must not be empty"));
    }
    if text.chars().nth(NAME_LENGTH_MAX).is_some() {
        return Err(invalid(field, format!("must not be longer than {NAME_LENGTH_MAX} characters")));
    }
    Ok(())
}

/// As the columns hold it.
pub(super) fn within(
    field: &'static str,
    value: impl TryInto<i32>,
    range: RangeInclusive<i32>,
) -> Result<i32, ReferenceError> {
    let value = value.try_into().ok().filter(|value| range.contains(value));
    value.ok_or_else(|| invalid(field, format!("must lie between {} and {}", range.start(), range.end())))
}

pub(super) fn price_cents(price: Money) -> Result<i32, ReferenceError> {
    within("price.amount", price.amount, 0..=i32::MAX)
}

pub(super) fn week(field: &'static str, hours: &[WorkingHours]) -> Result<(), ReferenceError> {
    if hours.is_empty() {
        return Err(invalid(field, "must name some hours; null is always available"));
    }
    for weekday in hours.iter().map(|hours| hours.weekday) {
        within(field, weekday, 1..=7)?;
        let of_day = hours.iter().filter(|hours| hours.weekday == weekday);
        day(field, of_day.map(|hours| (hours.start_minute, hours.end_minute)).collect())?;
    }
    Ok(())
}

/// Intervals may touch, but not overlap.
pub(super) fn day(field: &'static str, mut intervals: Vec<(u16, u16)>) -> Result<(), ReferenceError> {
    intervals.sort_unstable();
    if intervals.iter().any(|&(start, end)| start >= end || end > DAY_MINUTES) {
        return Err(invalid(field, "an interval must end after its start, and on the same day"));
    }
    if intervals.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(invalid(field, "intervals of a day must not overlap"));
    }
    Ok(())
}

pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> ReferenceError {
    ReferenceError::Invalid { field, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_a_day_may_touch_but_not_overlap() {
        assert_eq!(day("intervals", vec![(720, 1440), (540, 720)]), Ok(()));
        assert_eq!(day("intervals", Vec::new()), Ok(()));
        for refused in [vec![(540, 721), (720, 900)], vec![(540, 540)], vec![(600, 540)], vec![(1380, 1441)]] {
            assert!(day("intervals", refused.clone()).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_week_checks_each_day_for_itself() {
        let hours = |weekday, start_minute, end_minute| WorkingHours { weekday, start_minute, end_minute };
        assert_eq!(week("weekly", &[hours(1, 540, 720), hours(2, 540, 720)]), Ok(()));
        assert!(week("weekly", &[hours(1, 540, 720), hours(1, 600, 900)]).is_err());
        assert!(week("weekly", &[hours(8, 540, 720)]).is_err());
        assert!(week("weekly", &[]).is_err());
    }

    #[test]
    fn numbers_must_fit_their_columns() {
        assert_eq!(within("price", i64::from(i32::MAX), 0..=i32::MAX), Ok(i32::MAX));
        assert!(within("price", i64::from(i32::MAX) + 1, 0..=i32::MAX).is_err());
        assert!(within("price", -1_i64, 0..=i32::MAX).is_err());
    }

    #[test]
    fn names_are_neither_blank_nor_endless() {
        assert_eq!(name("name", "Schnitt"), Ok(()));
        assert!(name("name", " ").is_err());
        assert!(name("name", &"ä".repeat(NAME_LENGTH_MAX + 1)).is_err());
    }
}
