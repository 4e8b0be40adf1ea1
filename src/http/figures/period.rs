use jiff::ToSpan;
use jiff::civil::Date;

use crate::http::problem::Problem;
use crate::http::validate::FieldErrors;

/// Also a leap year.
const DAYS_MAX: i64 = 366;
/// Without dates: the last thirty.
const DAYS_DEFAULT: i64 = 30;
/// Days are kept one by one for a good year, and months for two; see `projections::revenue`.
const MONTHS_MAX: i64 = 24;

/// Calendar days of the tenant, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: Date,
    pub to: Date,
}

impl Period {
    /// `from` and `to` as far as they were named. What lies too far back for its days is refused.
    pub fn of_days(from: Option<Date>, to: Option<Date>, today: Date) -> Result<Period, Problem> {
        let earliest = today.saturating_sub(DAYS_MAX.days());
        let period = Period::named(from, to, today);
        period.checked(earliest, DAYS_MAX)
    }

    /// The same for whole months, which are kept for longer.
    pub fn of_months(from: Option<Date>, to: Option<Date>, today: Date) -> Result<Period, Problem> {
        let earliest = today.first_of_month().saturating_sub((MONTHS_MAX - 1).months());
        Period::named(from, to, today).checked(earliest, 2 * DAYS_MAX)
    }

    fn named(from: Option<Date>, to: Option<Date>, today: Date) -> Period {
        let to = to.unwrap_or_else(|| from.map_or(today, |from| from.max(today)));
        Period { from: from.unwrap_or_else(|| to.saturating_sub((DAYS_DEFAULT - 1).days())), to }
    }

    fn checked(self, earliest: Date, days_max: i64) -> Result<Period, Problem> {
        let Period { from, to } = self;
        let mut errors = FieldErrors::default();
        errors.require(from >= earliest, "from", format!("must not lie before {earliest}"));
        errors.require(from <= to, "to", "must not lie before `from`");
        let days = from.duration_until(to).as_hours() / 24 + 1;
        errors.require(days <= days_max, "to", format!("may make {days_max} days with `from`"));
        errors.none()?;
        Ok(self)
    }
}
