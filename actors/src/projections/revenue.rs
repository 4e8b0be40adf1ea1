//! What bookings are worth, by the tenant's calendar day on which their slots begin: of all, of each staff member and of
//! each service. A booking is counted on its day whatever becomes of it, and how it ended is counted there too.
//!
//! Days are kept for more than a year, older ones by month, and still older ones by year.

use std::ops::AddAssign;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::event::EventBody;
use crate::ids::{AggregateType, BookingId, ServiceId, StaffId, TenantId};
use crate::money::{Currency, Money};
use crate::sagas::booking::{BookingEvent, BookingScheduled};
use crate::time::{DAY_MS, Timestamp};

use super::{Applicable, NotApplicable, Projection};

/// How long days are kept before they become part of their month, and months before they become part of their year.
const KEPT_DAYS: i64 = 400;
const KEPT_MONTHS: i16 = 24;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Revenue {
    /// Bookings that have not ended: what their next events don't repeat.
    open: imbl::HashMap<(TenantId, BookingId), Open>,
    /// The same by their days, to let go of those that nobody ever closes.
    open_by_day: imbl::OrdSet<(TenantId, Date, BookingId)>,
    horizons: imbl::HashMap<TenantId, Horizon>,
    days: imbl::OrdMap<Key, Figures>,
    months: imbl::OrdMap<Key, Figures>,
    years: imbl::OrdMap<Key, Figures>,
}

/// The date is the first day of the period.
type Key = (TenantId, Date, Currency, Of);

/// Whose bookings are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Of {
    All,
    Staff(StaffId),
    /// `None` only for bookings that were brought in without.
    Service(Option<ServiceId>),
}

/// `booked` is all that was booked for the day, and the others are parts of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Figures {
    pub booked: Tally,
    pub completed: Tally,
    pub cancelled: Tally,
    pub no_show: Tally,
}

/// How many bookings, and what they cost together in Rappen or cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    pub count: i64,
    pub cents: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Open {
    staff_id: StaffId,
    service_id: Option<ServiceId>,
    day: Date,
    price: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Horizon {
    /// Days before this one are in `months`, unless that is too old too.
    days_since: Date,
    /// Months before this one are in `years`.
    months_since: Date,
    /// Changes of bookings that had been let go of, which are in no figure.
    missed: u64,
}

impl Revenue {
    /// The figures of each of the tenant's days in `[from, to)`, ascending; days with nothing on them are left out.
    pub fn days(&self, tenant_id: TenantId, from: Date, to: Date) -> impl Iterator<Item = Row> + '_ {
        rows(&self.days, tenant_id, from, to)
    }

    /// The figures of the months that begin in `[from, to)`; of the month that days are leaving it may hold two parts,
    /// which add up.
    pub fn months(&self, tenant_id: TenantId, from: Date, to: Date) -> impl Iterator<Item = Row> + '_ {
        let kept_by_day = self.days(tenant_id, from, to);
        let by_month = kept_by_day.map(|row| Row { date: row.date.first_of_month(), ..row });
        rows(&self.months, tenant_id, from, to).chain(by_month)
    }

    /// All that the tenant ever booked in the currency.
    pub fn total(&self, tenant_id: TenantId, currency: Currency) -> Figures {
        let mut total = Figures::default();
        for periods in [&self.days, &self.months, &self.years] {
            let all = rows(periods, tenant_id, Date::MIN, Date::MAX);
            all.filter(|row| (row.currency, row.of) == (currency, Of::All)).for_each(|row| total += row.figures);
        }
        total
    }

    /// Changes of bookings whose day was over for more than a year, which no figure holds.
    pub fn missed(&self, tenant_id: TenantId) -> u64 {
        self.horizons.get(&tenant_id).map_or(0, |horizon| horizon.missed)
    }

    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    fn begin(&mut self, tenant_id: TenantId, id: BookingId, scheduled: &BookingScheduled) {
        let BookingScheduled { staff_id, service_id, day, price, .. } = *scheduled;
        self.hold(tenant_id, id, Open { staff_id, service_id, day, price });
    }

    /// Its price is booked on its day.
    fn hold(&mut self, tenant_id: TenantId, id: BookingId, open: Open) {
        self.open_by_day.insert((tenant_id, open.day, id));
        self.open.insert((tenant_id, id), open);
        self.count(tenant_id, open, |figures, tally| figures.booked += tally);
    }

    fn take(&mut self, tenant_id: TenantId, id: BookingId) -> Option<Open> {
        let open = self.open.remove(&(tenant_id, id));
        match &open {
            Some(open) => drop(self.open_by_day.remove(&(tenant_id, open.day, id))),
            None => self.horizons.entry(tenant_id).or_default().missed += 1,
        }
        open
    }

    fn relocate(&mut self, tenant_id: TenantId, id: BookingId, day: Date) {
        if let Some(open) = self.take(tenant_id, id) {
            self.count(tenant_id, open, |figures, tally| figures.booked += tally.negated());
            self.hold(tenant_id, id, Open { day, ..open });
        }
    }

    fn end(&mut self, tenant_id: TenantId, id: BookingId, add: fn(&mut Figures, Tally)) {
        if let Some(open) = self.take(tenant_id, id) {
            self.count(tenant_id, open, add);
        }
    }

    fn count(&mut self, tenant_id: TenantId, open: Open, add: fn(&mut Figures, Tally)) {
        let horizon = self.horizons.get(&tenant_id).copied().unwrap_or_default();
        let (periods, date) = if open.day >= horizon.days_since {
            (&mut self.days, open.day)
        } else if open.day >= horizon.months_since {
            (&mut self.months, open.day.first_of_month())
        } else {
            (&mut self.years, open.day.first_of_year())
        };
        let tally = Tally { count: 1, cents: open.price.amount };
        for of in [Of::All, Of::Staff(open.staff_id), Of::Service(open.service_id)] {
            let key = (tenant_id, date, open.price.currency, of);
            let figures = periods.entry(key).or_default();
            add(figures, tally);
            if *figures == Figures::default() {
                periods.remove(&key);
            }
        }
    }

    /// Works in whole days, so that it costs nothing with most events.
    fn fold_before(&mut self, tenant_id: TenantId, occurred_at: Timestamp) {
        let days_since = occurred_at.plus_millis(-KEPT_DAYS * DAY_MS).date_in(&TimeZone::UTC);
        let horizon = self.horizons.entry(tenant_id).or_default();
        if days_since <= horizon.days_since {
            return;
        }
        let month = occurred_at.date_in(&TimeZone::UTC).first_of_month();
        let months_since = Date::new(month.year() - KEPT_MONTHS / 12, month.month(), 1).expect("the first of a month");
        (horizon.days_since, horizon.months_since) = (days_since, months_since);
        fold(&mut self.days, tenant_id, days_since, &mut self.months, Date::first_of_month);
        fold(&mut self.months, tenant_id, months_since, &mut self.years, Date::first_of_year);
        let nil = BookingId(uuid::Uuid::nil());
        let long_past = (tenant_id, Date::MIN, nil)..(tenant_id, days_since, nil);
        for key in self.open_by_day.range(long_past).copied().collect::<Vec<_>>() {
            self.open_by_day.remove(&key);
            self.open.remove(&(tenant_id, key.2));
        }
    }
}

/// The figures of one period, currency and part of the bookings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub date: Date,
    pub currency: Currency,
    pub of: Of,
    pub figures: Figures,
}

fn span(tenant_id: TenantId, from: Date, to: Date) -> std::ops::Range<Key> {
    (tenant_id, from, Currency::Chf, Of::All)..(tenant_id, to.max(from), Currency::Chf, Of::All)
}

fn rows(
    periods: &imbl::OrdMap<Key, Figures>,
    tenant_id: TenantId,
    from: Date,
    to: Date,
) -> impl Iterator<Item = Row> + '_ {
    periods.range(span(tenant_id, from, to)).map(|(&(_, date, currency, of), figures)| Row {
        date,
        currency,
        of,
        figures: *figures,
    })
}

/// Moves what is older than `since` into the longer periods that it belongs to.
fn fold(
    periods: &mut imbl::OrdMap<Key, Figures>,
    tenant_id: TenantId,
    since: Date,
    into: &mut imbl::OrdMap<Key, Figures>,
    period: fn(Date) -> Date,
) {
    let old: Vec<(Key, Figures)> =
        periods.range(span(tenant_id, Date::MIN, since)).map(|(key, figures)| (*key, *figures)).collect();
    for (key, figures) in old {
        periods.remove(&key);
        *into.entry((tenant_id, period(key.1), key.2, key.3)).or_default() += figures;
    }
}

impl Tally {
    fn negated(self) -> Tally {
        Tally { count: -self.count, cents: -self.cents }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.count = self.count.saturating_add(more.count);
        self.cents = self.cents.saturating_add(more.cents);
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, more: Figures) {
        self.booked += more.booked;
        self.completed += more.completed;
        self.cancelled += more.cancelled;
        self.no_show += more.no_show;
    }
}

impl Projection for Revenue {
    const NAME: &'static str = "revenue";
    const FORMAT: u16 = 1;
    const FOLDS: AggregateType = AggregateType::Booking;

    fn apply(&mut self, applicable: &Applicable<'_>) -> Result<(), NotApplicable> {
        let Some(event) = BookingEvent::from_event(applicable.event) else { return Ok(()) };
        let (tenant_id, id) = (applicable.stream.tenant_id, BookingId(applicable.stream.aggregate_id));
        self.fold_before(tenant_id, applicable.occurred_at);
        match event {
            BookingEvent::Scheduled(scheduled) => self.begin(tenant_id, id, scheduled),
            BookingEvent::Rescheduled(moved) => self.relocate(tenant_id, id, moved.day),
            BookingEvent::Confirmed(_) | BookingEvent::CheckedIn(_) => {}
            BookingEvent::Completed(_) => self.end(tenant_id, id, |figures, tally| figures.completed += tally),
            BookingEvent::NoShow(_) => self.end(tenant_id, id, |figures, tally| figures.no_show += tally),
            BookingEvent::Cancelled(_) => self.end(tenant_id, id, |figures, tally| figures.cancelled += tally),
        }
        Ok(())
    }
}
