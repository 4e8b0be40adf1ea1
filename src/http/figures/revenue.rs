use actix_web::HttpResponse;
use actix_web::web::Data;
use codeccloud_actors::ids::{ServiceId, StaffId};
use codeccloud_actors::money::Currency;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period::Period;
use crate::http::Door;
use crate::http::extractors::Query;
use crate::http::paging::Listing;
use crate::http::problem::Problem;
use crate::http::route::calendar_day;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::{self, RevenueOf};

#[derive(Deserialize, JsonSchema)]
pub struct RevenueQuery {
    /// Absent: 29 days before `to`. At most 366 days back, by month 23 months.
    #[serde(default)]
    #[schemars(schema_with = "calendar_day")]
    pub from: Option<Date>,
    /// Included; at most 366 days with `from`, by month 732. Absent: today.
    #[serde(default)]
    #[schemars(schema_with = "calendar_day")]
    pub to: Option<Date>,
    /// Absent: CHF.
    pub currency: Option<Currency>,
    /// Absent: `day`. By `month`, the whole months in which `from` and `to` lie.
    pub by: Option<RevenueBy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RevenueBy {
    Day,
    Month,
    Staff,
    Service,
}

impl Validate for RevenueQuery {
    /// What is asked for depends on the tenant's calendar, which only the handler knows.
    fn validate(&self, _: &mut FieldErrors) {}
}

/// A booking counts on the local day on which its slot begins, whatever has become of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revenue {
    /// By day: the day; by month: its first day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "calendar_day")]
    pub date: Option<Date>,
    /// By staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff_id: Option<StaffId>,
    /// By service; absent there for bookings without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<ServiceId>,
    pub currency: Currency,
    pub bookings: i64,
    pub booked_cents: i64,
    pub completed: i64,
    /// Of completed bookings.
    pub revenue_cents: i64,
    pub cancellations: i64,
    pub cancelled_cents: i64,
    pub no_shows: i64,
    pub no_show_cents: i64,
}

/// Only what has bookings.
pub async fn revenue(
    door: Data<Door>,
    session: Session,
    Query(query): Query<RevenueQuery>,
) -> Result<HttpResponse, Problem> {
    let today = door.clock.now().date_in(&session.reference.zone);
    let by = query.by.unwrap_or(RevenueBy::Day);
    let Period { from, to } = match by {
        RevenueBy::Month => Period::of_months(query.from, query.to, today)?,
        RevenueBy::Day | RevenueBy::Staff | RevenueBy::Service => Period::of_days(query.from, query.to, today)?,
    };
    let currency = query.currency.unwrap_or(Currency::Chf);
    let query = ports::RevenueQuery { from, to, currency, by: by.into() };
    let rows = door.queries.revenue(session.scope(), query).await?;
    Ok(HttpResponse::Ok().json(Listing::whole(rows.iter().map(|row| Revenue::of(row, currency)).collect())))
}

impl From<RevenueBy> for ports::RevenueBy {
    fn from(by: RevenueBy) -> ports::RevenueBy {
        match by {
            RevenueBy::Day => ports::RevenueBy::Day,
            RevenueBy::Month => ports::RevenueBy::Month,
            RevenueBy::Staff => ports::RevenueBy::Staff,
            RevenueBy::Service => ports::RevenueBy::Service,
        }
    }
}

impl Revenue {
    fn of(row: &ports::RevenueRow, currency: Currency) -> Revenue {
        let (date, staff_id, service_id) = match row.of {
            RevenueOf::Day(date) | RevenueOf::Month(date) => (Some(date), None, None),
            RevenueOf::Staff(staff_id) => (None, Some(staff_id), None),
            RevenueOf::Service(service_id) => (None, None, service_id),
        };
        let figures = row.figures;
        Revenue {
            date,
            staff_id,
            service_id,
            currency,
            bookings: figures.booked.count,
            booked_cents: figures.booked.cents,
            completed: figures.completed.count,
            revenue_cents: figures.completed.cents,
            cancellations: figures.cancelled.count,
            cancelled_cents: figures.cancelled.cents,
            no_shows: figures.no_show.count,
            no_show_cents: figures.no_show.cents,
        }
    }
}
