use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::time::{DAY_MS, Timestamp};

use super::{DayShare, StaffUtilisationEvent};

/// How long days are kept before they become part of their month, and months before they become part of their year.
const KEPT_DAYS: i64 = 400;
const KEPT_MONTHS: i16 = 24;

/// Booked and working minutes of each of the tenant's days; of older ones by month, and of still older ones by year.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DayTotals {
    /// Each list is sorted by date.
    days: Vec<PeriodTotal>,
    months: Vec<PeriodTotal>,
    years: Vec<PeriodTotal>,
    /// Days before this one are in `months`, unless that is too old too.
    days_since: Date,
    /// Months before this one are in `years`.
    months_since: Date,
}

/// The minutes of a day, month or year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodTotal {
    /// Its first day.
    pub date: Date,
    pub booked_minutes: u32,
    /// Days without a booking, and those for which no hours were on record, add nothing.
    pub working_minutes: u32,
}

impl DayTotals {
    pub fn apply(&mut self, event: &StaffUtilisationEvent, occurred_at: Timestamp) {
        self.fold_before(occurred_at);
        match event {
            StaffUtilisationEvent::Reserved(event) => self.add(&event.days),
            StaffUtilisationEvent::Moved(event) => {
                self.subtract(&event.days_from);
                self.add(&event.days_to);
            }
            StaffUtilisationEvent::Released(event) => self.subtract(&event.days),
        }
    }

    /// The days in `[from, to)` that had a booking and are still kept one by one, ascending.
    pub fn days(&self, from: Date, to: Date) -> &[PeriodTotal] {
        let start = self.days.partition_point(|day| day.date < from);
        let end = self.days.partition_point(|day| day.date < to);
        &self.days[start..end.max(start)]
    }

    /// Days that became part of their month. The month that is being left has days of its own beside it.
    pub fn months(&self) -> &[PeriodTotal] {
        &self.months
    }

    pub fn years(&self) -> &[PeriodTotal] {
        &self.years
    }

    /// Everything ever booked and not lost again.
    pub fn booked_minutes(&self) -> u64 {
        let all = self.days.iter().chain(&self.months).chain(&self.years);
        all.map(|total| u64::from(total.booked_minutes)).sum()
    }

    fn add(&mut self, shares: &[DayShare]) {
        for share in shares {
            let is_day = share.date >= self.days_since;
            let total = self.total_of(share.date);
            total.booked_minutes = total.booked_minutes.saturating_add(share.booked_minutes);
            // Each booking of a day repeats the same hours, so a day takes the latest and a month must not add them again.
            if is_day {
                total.working_minutes = share.working_minutes;
            }
        }
    }

    /// Leaves the working minutes alone: a person who has left has no hours on record any more.
    fn subtract(&mut self, shares: &[DayShare]) {
        for share in shares {
            let total = self.total_of(share.date);
            total.booked_minutes = total.booked_minutes.saturating_sub(share.booked_minutes);
        }
    }

    /// Where a day's minutes are counted today.
    fn total_of(&mut self, date: Date) -> &mut PeriodTotal {
        if date >= self.days_since {
            total_at(&mut self.days, date)
        } else if date >= self.months_since {
            total_at(&mut self.months, date.first_of_month())
        } else {
            total_at(&mut self.years, date.first_of_year())
        }
    }

    fn fold_before(&mut self, occurred_at: Timestamp) {
        let days_since = occurred_at.plus_millis(-KEPT_DAYS * DAY_MS).date_in(&TimeZone::UTC);
        if days_since <= self.days_since {
            return;
        }
        let month = occurred_at.date_in(&TimeZone::UTC).first_of_month();
        let months_since = Date::new(month.year() - KEPT_MONTHS / 12, month.month(), 1).expect("the first of a month");
        fold(&mut self.days, days_since, &mut self.months, Date::first_of_month);
        fold(&mut self.months, months_since, &mut self.years, Date::first_of_year);
        (self.days_since, self.months_since) = (days_since, months_since);
    }
}

/// Moves what is older than `since` into the longer periods that it belongs to.
fn fold(totals: &mut Vec<PeriodTotal>, since: Date, into: &mut Vec<PeriodTotal>, period: fn(Date) -> Date) {
    let old = totals.partition_point(|total| total.date < since);
    for total in totals.drain(..old) {
        let sum = total_at(into, period(total.date));
        sum.booked_minutes = sum.booked_minutes.saturating_add(total.booked_minutes);
        sum.working_minutes = sum.working_minutes.saturating_add(total.working_minutes);
    }
}

fn total_at(totals: &mut Vec<PeriodTotal>, date: Date) -> &mut PeriodTotal {
    let index = match totals.binary_search_by_key(&date, |total| total.date) {
        Ok(index) => index,
        Err(index) => {
            totals.insert(index, PeriodTotal { date, booked_minutes: 0, working_minutes: 0 });
            index
        }
    };
    &mut totals[index]
}
