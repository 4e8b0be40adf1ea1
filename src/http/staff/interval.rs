use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use codeccloud_actors::reference::LocalInterval;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::http::validate::FieldErrors;

const DAY_MINUTES: u16 = 24 * 60;

/// Between two times of day, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    pub start: LocalTime,
    pub end: LocalTime,
}

/// Minutes since midnight by the clock on the wall in the salon; `24:00` is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(pub u16);

impl From<LocalInterval> for Interval {
    fn from(interval: LocalInterval) -> Interval {
        Interval { start: LocalTime(interval.start_minute), end: LocalTime(interval.end_minute) }
    }
}

impl Interval {
    /// Intervals of one day must not be empty, nor overlap.
    pub fn check_day(errors: &mut FieldErrors, field: &str, mut day: Vec<Interval>) {
        day.sort_unstable();
        errors.require(day.iter().all(|interval| interval.start < interval.end), field, "must end after it starts");
        let apart = day.windows(2).all(|pair| pair[0].end <= pair[1].start);
        errors.require(apart, field, "must not overlap another on the same day");
    }
}

impl FromStr for LocalTime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<LocalTime, Self::Err> {
        const MALFORMED: &str = "must be a time of day, such as 09:30 or 24:00";
        let two_digits = |text: &str| {
            let shaped = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            shaped.then(|| text.parse::<u16>().ok()).flatten().ok_or(MALFORMED)
        };
        let (hour, minute) = text.split_once(':').ok_or(MALFORMED)?;
        let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
        let minutes = hour * 60 + minute;
        if minute < 60 && minutes <= DAY_MINUTES { Ok(LocalTime(minutes)) } else { Err(MALFORMED) }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for LocalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LocalTime, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for LocalTime {
    fn schema_name() -> Cow<'static, str> {
        "LocalTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", "examples": ["09:30"],
            "description": "A time of day by the clock on the wall in the salon"
        })
    }
}
