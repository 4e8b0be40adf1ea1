//! Booked and working minutes of each person's days.

use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::aggregates::staff_utilisation::{DayTotals, PeriodTotal, StaffUtilisationEvent};
use crate::event::EventBody;
use crate::ids::{AggregateType, StaffId, TenantId};

use super::{Applicable, NotApplicable, Projection};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StaffUtilisationDays {
    /// Ordered by tenant first, so that a tenant's people are next to each other.
    totals: imbl::OrdMap<(TenantId, StaffId), Arc<DayTotals>>,
}

impl StaffUtilisationDays {
    /// A person's days in `[from, to)` that had a booking.
    pub fn days(&self, tenant_id: TenantId, staff_id: StaffId, from: Date, to: Date) -> &[PeriodTotal] {
        self.totals.get(&(tenant_id, staff_id)).map_or(&[], |totals| totals.days(from, to))
    }

    pub fn totals(&self) -> impl Iterator<Item = (TenantId, StaffId, &DayTotals)> {
        self.totals.iter().map(|((tenant_id, staff_id), totals)| (*tenant_id, *staff_id, totals.as_ref()))
    }
}

impl Projection for StaffUtilisationDays {
    const NAME: &'static str = "staff_utilisation";
    const FORMAT: u16 = 1;
    const FOLDS: AggregateType = AggregateType::StaffUtilisation;

    fn apply(&mut self, applicable: &Applicable<'_>) -> Result<(), NotApplicable> {
        if let Some(event) = StaffUtilisationEvent::from_event(applicable.event) {
            let key = (applicable.stream.tenant_id, StaffId(applicable.stream.aggregate_id));
            let totals = self.totals.entry(key).or_default();
            Arc::make_mut(totals).apply(event, applicable.occurred_at);
        }
        Ok(())
    }
}
