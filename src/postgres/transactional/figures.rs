//! The salon's figures, from the totals that are kept with the rows.

use codeccloud_actors::ids::{ServiceId, StaffId};
use codeccloud_actors::money::Currency;
use codeccloud_actors::projections::revenue::{Figures, Tally};
use jiff::civil::Date;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::TransactionalQueries;
use crate::ports::{Dashboard, QueryError, RevenueBy, RevenueOf, RevenueQuery, RevenueRow, Scope};
use crate::postgres::types::PgDate;

const SUMS: &str = "coalesce(sum(bookings), 0)::int8, coalesce(sum(booked_cents), 0)::int8, coalesce(sum(completed), 0)::int8, \
     coalesce(sum(revenue_cents), 0)::int8, coalesce(sum(cancellations), 0)::int8, \
     coalesce(sum(cancelled_cents), 0)::int8, coalesce(sum(no_shows), 0)::int8, coalesce(sum(no_show_cents), 0)::int8";

/// Of the rows themselves, which the totals don't break down any further.
const COUNTS: &str = "count(*), coalesce(sum(price_cents), 0)::int8, \
     count(*) FILTER (WHERE status = 'completed'), \
     coalesce(sum(price_cents) FILTER (WHERE status = 'completed'), 0)::int8, \
     count(*) FILTER (WHERE status = 'cancelled'), \
     coalesce(sum(price_cents) FILTER (WHERE status = 'cancelled'), 0)::int8, \
     count(*) FILTER (WHERE status = 'no_show'), \
     coalesce(sum(price_cents) FILTER (WHERE status = 'no_show'), 0)::int8";

impl TransactionalQueries {
    pub(super) async fn salon_figures(
        &self,
        scope: Scope,
        from: Date,
        to: Date,
        currency: Currency,
    ) -> Result<Dashboard, QueryError> {
        let sql = format!(
            "SELECT {SUMS}, b.booked, b.working FROM sales_metrics \
             RIGHT JOIN (SELECT coalesce(sum(booked_minutes), 0)::int8 AS booked, \
                 coalesce(sum(working_minutes), 0)::int8 AS working FROM availability_calendars \
                 WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 AND working_minutes > 0) b \
             ON tenant_id = $1 AND day BETWEEN $2 AND $3 AND currency = $4 GROUP BY b.booked, b.working"
        );
        let (from, to, currency) = (PgDate(from), PgDate(to), currency.as_str());
        let arguments = [
            (&scope.tenant_id.0 as _, Type::UUID),
            (&from as _, Type::DATE),
            (&to as _, Type::DATE),
            (&currency as _, Type::BPCHAR),
        ];
        let rows = self.reading(scope).await?.query(&sql, &arguments).await?;
        let row = rows.first().expect("totals of nothing are a row as well");
        let minutes = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or(0);
        Ok(Dashboard { figures: figures(row, 0), booked_minutes: minutes(8), working_minutes: minutes(9) })
    }

    pub(super) async fn broken_down(&self, scope: Scope, query: RevenueQuery) -> Result<Vec<RevenueRow>, QueryError> {
        let (sql, of): (String, fn(&Row) -> RevenueOf) = match query.by {
            RevenueBy::Day => (by_period("day"), |row| RevenueOf::Day(date(row))),
            RevenueBy::Month => (by_period("date_trunc('month', day)::date"), |row| RevenueOf::Month(date(row))),
            RevenueBy::Staff => (by_column("staff_id"), |row| RevenueOf::Staff(StaffId(row.get(0)))),
            RevenueBy::Service => {
                (by_column("service_id"), |row| RevenueOf::Service(row.get::<_, Option<_>>(0).map(ServiceId)))
            }
        };
        let zone = self.reference(scope.tenant_id)?.zone.clone();
        let zone = zone.iana_name().unwrap_or("Europe/Zurich");
        let (from, to) = match query.by {
            RevenueBy::Month => (query.from.first_of_month(), query.to.last_of_month()),
            RevenueBy::Day | RevenueBy::Staff | RevenueBy::Service => (query.from, query.to),
        };
        let (from, to, currency) = (PgDate(from), PgDate(to), query.currency.as_str());
        let arguments = [
            (&scope.tenant_id.0 as _, Type::UUID),
            (&from as _, Type::DATE),
            (&to as _, Type::DATE),
            (&currency as _, Type::BPCHAR),
            (&zone as _, Type::TEXT),
        ];
        let rows = self.reading(scope).await?.query(&sql, &arguments).await?;
        let mut rows: Vec<_> = rows.iter().map(|row| RevenueRow { of: of(row), figures: figures(row, 1) }).collect();
        rows.sort_unstable_by_key(|row| row.of);
        Ok(rows)
    }
}

/// The zone is for the other one, and has to be named in both.
fn by_period(period: &str) -> String {
    format!(
        "SELECT {period}, {SUMS} FROM sales_metrics \
         WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 AND currency = $4 AND $5::text IS NOT NULL \
         GROUP BY 1 HAVING sum(bookings) > 0"
    )
}

fn by_column(column: &str) -> String {
    format!(
        "SELECT {column}, {COUNTS} FROM appointments \
         WHERE tenant_id = $1 AND slot_start >= $2::timestamp AT TIME ZONE $5 \
             AND slot_start < ($3 + 1)::timestamp AT TIME ZONE $5 AND currency = $4 AND status <> 'draft' GROUP BY 1"
    )
}

fn date(row: &Row) -> Date {
    let PgDate(date) = row.get(0);
    date
}

fn figures(row: &Row, first: usize) -> Figures {
    let tally = |nth: usize| Tally { count: row.get(first + 2 * nth), cents: row.get(first + 2 * nth + 1) };
    Figures { booked: tally(0), completed: tally(1), cancelled: tally(2), no_show: tally(3) }
}
