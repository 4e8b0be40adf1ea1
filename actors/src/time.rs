//! Instants, slots and a tenant's calendar days.
//!
//! An instant counts milliseconds, which is what the wire contract shows; eight bytes, so that a projection can hold
//! millions. Time zones come from jiff with its bundled database, so that no machine's `/usr/share/zoneinfo` decides.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub const MINUTE_MS: i64 = 60_000;
pub const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// An instant in milliseconds since 1970-01-01T00:00:00Z; written as `2030-01-01T09:00:00.000Z`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// Why a text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    #[error("must be a time with an offset, such as 2030-01-01T09:00:00Z")]
    Malformed,
    #[error("must lie between the years 1900 and 2200")]
    OutOfRange,
}

impl Timestamp {
    pub const MIN: Timestamp = Timestamp(-2_208_988_800_000);
    pub const MAX: Timestamp = Timestamp(7_258_118_400_000);

    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(millis))
    }

    #[must_use]
    pub const fn plus_minutes(self, minutes: i64) -> Timestamp {
        self.plus_millis(minutes * MINUTE_MS)
    }

    /// The calendar day that this instant falls on in `zone`.
    pub fn date_in(self, zone: &TimeZone) -> Date {
        zone.to_datetime(self.to_jiff()).date()
    }

    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0.clamp(Self::MIN.0, Self::MAX.0)).expect("clamped to 1900..2200")
    }

    pub fn from_jiff(instant: jiff::Timestamp) -> Timestamp {
        Timestamp(instant.as_millisecond())
    }
}

/// The instant at which `date` begins in `zone`. A midnight that a clock change skips begins at the change.
pub fn start_of_day(date: Date, zone: &TimeZone) -> Timestamp {
    let midnight = zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0)).compatible();
    Timestamp::from_jiff(midnight.expect("dates between 1900 and 2200 have instants"))
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // jiff also accepts annotations such as `[Europe/Zurich]`; an offset is what counts, and it is required.
        let instant: jiff::Timestamp = text.parse().map_err(|_| TimestampError::Malformed)?;
        let millis = instant.as_millisecond();
        if !(Self::MIN.0..=Self::MAX.0).contains(&millis) {
            return Err(TimestampError::OutOfRange);
        }
        Ok(Timestamp(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Howard Hinnant's civil-from-days; formatting instants is most of the work of a list of slots.
        let (days, millis) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS));
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, milli) = (millis / 1_000 % 60, millis % 1_000);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |at: usize, width: usize, mut value: i64| {
            for place in (at..at + width).rev() {
                text[place] = b'0' + u8::try_from(value % 10).expect("a digit");
                value /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, hour);
        put(14, 2, minute);
        put(17, 2, second);
        put(20, 3, milli);
        f.write_str(std::str::from_utf8(&text).expect("digits and ASCII separators"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text in JSON, a bare number in MessagePack (snapshots).
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Timestamp);
        }
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time with an offset, such as 2030-01-01T09:00:00Z")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                parse_canonical(text).map_or_else(|| text.parse().map_err(E::custom), Ok)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The exact form that `Display` writes, parsed without the general parser: replaying events spends its time here.
fn parse_canonical(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if separators.iter().any(|&(at, byte)| bytes[at] != byte) {
        return None;
    }
    let number = |at: usize, width: usize| {
        bytes[at..at + width]
            .iter()
            .try_fold(0_i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second, milli) = (number(11, 2)?, number(14, 2)?, number(17, 2)?, number(20, 3)?);
    if !(1900..2200).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let date = Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + i64::from(date.day()) - 1 - 719_468;
    Some(Timestamp(days * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1_000 + milli))
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "format": "date-time",
            "description": "ISO 8601 with an offset; answers are UTC with milliseconds",
            "examples": ["2030-01-01T09:00:00.000Z"]
        })
    }
}

/// A half-open stretch of time, `[start, end)`, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Slot {
    /// `None` unless `start` lies before `end`.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Slot> {
        (start < end).then_some(Slot { start, end })
    }

    pub fn minutes(self) -> i64 {
        (self.end.0 - self.start.0) / MINUTE_MS
    }

    pub fn overlaps(self, other: Slot) -> bool {
        self.start < other.end && other.start < self.end
    }

    pub fn contains(self, other: Slot) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The slot with `before` and `after` minutes added on its sides.
    #[must_use]
    pub fn widened(self, before: u32, after: u32) -> Slot {
        Slot { start: self.start.plus_minutes(-i64::from(before)), end: self.end.plus_minutes(i64::from(after)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_parser_and_the_formatter_agree_with_jiff(millis in Timestamp::MIN.0..Timestamp::MAX.0) {
            let instant = Timestamp(millis);
            let text = instant.to_string();
            prop_assert_eq!(parse_canonical(&text), Some(instant));
            let read = text.parse::<jiff::Timestamp>().ok();
            prop_assert_eq!(read.map(Timestamp::from_jiff), Some(instant));
        }
    }

    #[test]
    fn offsets_are_required_and_any_is_accepted() {
        let noon: Timestamp = "2030-01-01T09:00:00Z".parse().expect("UTC");
        assert_eq!("2030-01-01T10:00:00+01:00".parse(), Ok(noon));
        assert_eq!(noon.to_string(), "2030-01-01T09:00:00.000Z");
        assert_eq!("2030-01-01T09:00:00".parse::<Timestamp>(), Err(TimestampError::Malformed));
        assert_eq!("9999-01-01T09:00:00Z".parse::<Timestamp>(), Err(TimestampError::OutOfRange));
        assert!(parse_canonical("2030-02-30T09:00:00.000Z").is_none());
    }
}
