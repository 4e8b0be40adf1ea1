use actix_web::HttpResponse;
use actix_web::web::Data;
use codeccloud_actors::money::Currency;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period::Period;
use crate::http::Door;
use crate::http::extractors::Query;
use crate::http::problem::Problem;
use crate::http::route::calendar_day;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports;

#[derive(Deserialize, JsonSchema)]
pub struct DashboardQuery {
    /// Absent: 29 days before `to`. At most 366 days back.
    #[serde(default)]
    #[schemars(schema_with = "calendar_day")]
    pub from: Option<Date>,
    /// Included; at most 366 days with `from`. Absent: today.
    #[serde(default)]
    #[schemars(schema_with = "calendar_day")]
    pub to: Option<Date>,
    /// Absent: CHF.
    pub currency: Option<Currency>,
}

impl Validate for DashboardQuery {
    /// What is asked for depends on the tenant's calendar, which only the handler knows.
    fn validate(&self, _: &mut FieldErrors) {}
}

/// A booking counts on the local day on which its slot begins, whatever has become of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    #[schemars(schema_with = "calendar_day")]
    pub from: Date,
    #[schemars(schema_with = "calendar_day")]
    pub to: Date,
    pub currency: Currency,
    /// Of completed bookings.
    pub revenue_cents: i64,
    /// Booked of working time, 0.75 is three quarters; days without working hours on record or without a booking don't
    /// count.
    pub utilisation: f64,
    /// Null until something measures it.
    pub satisfaction: Option<f64>,
    pub bookings: i64,
    pub booked_cents: i64,
    pub completed: i64,
    pub cancellations: i64,
    pub cancelled_cents: i64,
    pub no_shows: i64,
    pub no_show_cents: i64,
}

pub async fn dashboard(
    door: Data<Door>,
    session: Session,
    Query(query): Query<DashboardQuery>,
) -> Result<HttpResponse, Problem> {
    let today = door.clock.now().date_in(&session.reference.zone);
    let period = Period::of_days(query.from, query.to, today)?;
    let currency = query.currency.unwrap_or(Currency::Chf);
    let view = door.queries.dashboard(session.scope(), period.from, period.to, currency).await?;
    Ok(HttpResponse::Ok().json(Dashboard::of(period, currency, &view)))
}

impl Dashboard {
    fn of(Period { from, to }: Period, currency: Currency, view: &ports::Dashboard) -> Dashboard {
        let ports::Dashboard { figures, booked_minutes, working_minutes } = view;
        Dashboard {
            from,
            to,
            currency,
            revenue_cents: figures.completed.cents,
            utilisation: ratio(*booked_minutes, *working_minutes),
            satisfaction: None,
            bookings: figures.booked.count,
            booked_cents: figures.booked.cents,
            completed: figures.completed.count,
            cancellations: figures.cancelled.count,
            cancelled_cents: figures.cancelled.cents,
            no_shows: figures.no_show.count,
            no_show_cents: figures.no_show.cents,
        }
    }
}

/// To four places, and 0 of nothing.
fn ratio(part: u64, whole: u64) -> f64 {
    let in_ten_thousand = (part.saturating_mul(10_000) + whole / 2).checked_div(whole).unwrap_or(0);
    f64::from(u32::try_from(in_ten_thousand).unwrap_or(u32::MAX)) / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "four places are exact enough to be told apart")]
    fn ratios_have_four_places_and_nothing_of_nothing_is_none() {
        assert_eq!([ratio(1, 3), ratio(2, 3), ratio(3, 2), ratio(0, 5), ratio(5, 0)], [0.3333, 0.6667, 1.5, 0.0, 0.0]);
    }
}
