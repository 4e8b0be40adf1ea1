//! Who is busy when: the calendars that availability is listed from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregates::staff_utilisation::{Calendar, StaffUtilisationEvent};
use crate::event::EventBody;
use crate::ids::{AggregateType, StaffId, TenantId};

use super::{Applicable, NotApplicable, Projection};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Availability {
    calendars: imbl::HashMap<(TenantId, StaffId), Arc<Calendar>>,
}

impl Availability {
    /// `None` for a person who was never booked.
    pub fn calendar(&self, tenant_id: TenantId, staff_id: StaffId) -> Option<&Calendar> {
        self.calendars.get(&(tenant_id, staff_id)).map(Arc::as_ref)
    }

    pub fn calendars(&self) -> impl Iterator<Item = (TenantId, StaffId, &Calendar)> {
        self.calendars.iter().map(|((tenant_id, staff_id), calendar)| (*tenant_id, *staff_id, calendar.as_ref()))
    }
}

impl Projection for Availability {
    const NAME: &'static str = "availability";
    const FORMAT: u16 = 1;
    const FOLDS: AggregateType = AggregateType::StaffUtilisation;

    fn apply(&mut self, applicable: &Applicable<'_>) -> Result<(), NotApplicable> {
        if let Some(event) = StaffUtilisationEvent::from_event(applicable.event) {
            let key = (applicable.stream.tenant_id, StaffId(applicable.stream.aggregate_id));
            let calendar = self.calendars.entry(key).or_default();
            Arc::make_mut(calendar).apply(event, applicable.occurred_at);
        }
        Ok(())
    }
}
