//! What a salon's bookings were worth and how busy its people were.

use std::collections::BTreeMap;

use codeccloud_actors::money::Currency;
use codeccloud_actors::projections::revenue::{Figures, Of, Revenue, Row};
use jiff::civil::Date;

use super::queries::EventSourcedQueries;
use crate::ports::{Dashboard, QueryError, RevenueBy, RevenueOf, RevenueQuery, RevenueRow, Scope};

impl EventSourcedQueries {
    pub(super) async fn salon_figures(
        &self,
        scope: Scope,
        from: Date,
        to: Date,
        currency: Currency,
    ) -> Result<Dashboard, QueryError> {
        let until = to.tomorrow().unwrap_or(to);
        let revenue = self.fresh(scope, self.ports.projections.revenue.published()).await?;
        let days = revenue.fold.model.days(scope.tenant_id, from, until);
        let mut figures = Figures::default();
        days.filter(|row| (row.of, row.currency) == (Of::All, currency)).for_each(|row| figures += row.figures);

        let utilisation = self.fresh(scope, self.ports.projections.staff_utilisation.published()).await?;
        let (mut booked_minutes, mut working_minutes) = (0, 0);
        for staff_id in self.reference(scope.tenant_id)?.staff.keys() {
            let days = utilisation.fold.model.days(scope.tenant_id, *staff_id, from, until);
            for day in days.iter().filter(|day| day.working_minutes > 0) {
                booked_minutes += u64::from(day.booked_minutes);
                working_minutes += u64::from(day.working_minutes);
            }
        }
        Ok(Dashboard { figures, booked_minutes, working_minutes })
    }

    pub(super) async fn broken_down(&self, scope: Scope, query: RevenueQuery) -> Result<Vec<RevenueRow>, QueryError> {
        let view = self.fresh(scope, self.ports.projections.revenue.published()).await?;
        let mut sums: BTreeMap<RevenueOf, Figures> = BTreeMap::new();
        for row in periods(&view.fold.model, scope, query).filter(|row| row.currency == query.currency) {
            if let Some(of) = part(query.by, row) {
                *sums.entry(of).or_default() += row.figures;
            }
        }
        let booked = sums.into_iter().filter(|(_, figures)| *figures != Figures::default());
        Ok(booked.map(|(of, figures)| RevenueRow { of, figures }).collect())
    }
}

fn periods(model: &Revenue, scope: Scope, query: RevenueQuery) -> Box<dyn Iterator<Item = Row> + '_> {
    let RevenueQuery { from, to, by, .. } = query;
    match by {
        RevenueBy::Month => {
            let until = to.last_of_month().tomorrow().unwrap_or(to);
            Box::new(model.months(scope.tenant_id, from.first_of_month(), until))
        }
        RevenueBy::Day | RevenueBy::Staff | RevenueBy::Service => {
            Box::new(model.days(scope.tenant_id, from, to.tomorrow().unwrap_or(to)))
        }
    }
}

/// What a row counts for; `None` when the question is another.
fn part(by: RevenueBy, row: Row) -> Option<RevenueOf> {
    match (by, row.of) {
        (RevenueBy::Day, Of::All) => Some(RevenueOf::Day(row.date)),
        (RevenueBy::Month, Of::All) => Some(RevenueOf::Month(row.date)),
        (RevenueBy::Staff, Of::Staff(staff_id)) => Some(RevenueOf::Staff(staff_id)),
        (RevenueBy::Service, Of::Service(service_id)) => Some(RevenueOf::Service(service_id)),
        (RevenueBy::Day | RevenueBy::Month, Of::Staff(_) | Of::Service(_))
        | (RevenueBy::Staff, Of::All | Of::Service(_))
        | (RevenueBy::Service, Of::All | Of::Staff(_)) => None,
    }
}
