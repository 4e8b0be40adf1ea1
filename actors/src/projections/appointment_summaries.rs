//! Bookings by time, staff member and customer. Recent and future ones are kept in full; of those long past, the read
//! model keeps totals, and who asks for one gets it from the store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::event::EventBody;
use crate::ids::{AggregateType, BookingId, CustomerId, StaffId, TenantId, Version};
use crate::sagas::booking::{BookingDetails, BookingEvent, BookingRescheduled, BookingSaga, BookingStatus};
use crate::time::{DAY_MS, Timestamp};

use super::{Applicable, NotApplicable, Projection};

/// How long a booking is kept after its slot began.
pub const KEPT_DAYS: i64 = 62;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AppointmentSummaries {
    bookings: imbl::HashMap<(TenantId, BookingId), Arc<Summary>>,
    by_time: imbl::OrdSet<(TenantId, Timestamp, BookingId)>,
    by_staff: imbl::OrdSet<(TenantId, StaffId, Timestamp, BookingId)>,
    by_customer: imbl::OrdSet<(TenantId, CustomerId, Timestamp, BookingId)>,
    tenants: imbl::HashMap<TenantId, TenantTotals>,
    /// Bookings that were let go of and then moved to a time that is kept. The event of a move doesn't say all that a
    /// summary needs, so they are in no other index, and who asks for one gets it from the store.
    brought_back: imbl::OrdSet<(TenantId, Timestamp, BookingId)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub version: Version,
    pub details: BookingDetails,
}

/// What is left of bookings that are no longer kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TenantTotals {
    /// Bookings whose slot begins before this are in the store only.
    pub kept_since: Timestamp,
    /// How many ended in which status, by the status that they had when they were let go.
    pub past: imbl::OrdMap<BookingStatus, u64>,
    /// Changes of bookings after they were let go.
    pub past_changes: u64,
}

/// Which index a list is read from: the narrowest that fits the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Tenant,
    Staff(StaffId),
    Customer(CustomerId),
}

impl AppointmentSummaries {
    pub fn booking(&self, tenant_id: TenantId, id: BookingId) -> Option<&Summary> {
        self.bookings.get(&(tenant_id, id)).map(Arc::as_ref)
    }

    /// Bookings that begin in `[from, to)`, ascending by time and id.
    pub fn list(
        &self,
        tenant_id: TenantId,
        of: Of,
        from: Timestamp,
        to: Timestamp,
    ) -> Box<dyn DoubleEndedIterator<Item = (BookingId, &Summary)> + '_> {
        let (first, last) = (BookingId(uuid::Uuid::nil()), BookingId(uuid::Uuid::nil()));
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let found = move |id: BookingId| {
            let summary = self.bookings.get(&(tenant_id, id)).expect("every index entry has its booking");
            (id, summary.as_ref())
        };
        match of {
            Of::Tenant => {
                let range = (tenant_id, from, first)..(tenant_id, to, last);
                Box::new(self.by_time.range(range).map(move |key| found(key.2)))
            }
            Of::Staff(staff_id) => {
                let range = (tenant_id, staff_id, from, first)..(tenant_id, staff_id, to, last);
                Box::new(self.by_staff.range(range).map(move |key| found(key.3)))
            }
            Of::Customer(customer_id) => {
                let range = (tenant_id, customer_id, from, first)..(tenant_id, customer_id, to, last);
                Box::new(self.by_customer.range(range).map(move |key| found(key.3)))
            }
        }
    }

    /// Bookings that begin in `[from, to)` as well, but are in the store only: who lists the others asks for these too.
    pub fn brought_back(
        &self,
        tenant_id: TenantId,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = BookingId> + '_ {
        let nil = BookingId(uuid::Uuid::nil());
        let range = (from < to).then(|| self.brought_back.range((tenant_id, from, nil)..(tenant_id, to, nil)));
        range.into_iter().flatten().map(|key| key.2)
    }

    pub fn totals(&self, tenant_id: TenantId) -> TenantTotals {
        self.tenants.get(&tenant_id).cloned().unwrap_or_default()
    }

    pub fn bookings(&self) -> impl Iterator<Item = (TenantId, BookingId, &Summary)> {
        self.bookings.iter().map(|((tenant_id, id), summary)| (*tenant_id, *id, summary.as_ref()))
    }

    fn insert(&mut self, tenant_id: TenantId, id: BookingId, summary: Summary) {
        let details = &summary.details;
        let start = details.slot.start;
        self.by_time.insert((tenant_id, start, id));
        self.by_staff.insert((tenant_id, details.staff_id, start, id));
        if let Some(customer_id) = details.customer_id {
            self.by_customer.insert((tenant_id, customer_id, start, id));
        }
        self.bookings.insert((tenant_id, id), Arc::new(summary));
    }

    fn remove(&mut self, tenant_id: TenantId, id: BookingId) -> Option<Arc<Summary>> {
        let summary = self.bookings.remove(&(tenant_id, id))?;
        let details = &summary.details;
        let start = details.slot.start;
        self.by_time.remove(&(tenant_id, start, id));
        self.by_staff.remove(&(tenant_id, details.staff_id, start, id));
        if let Some(customer_id) = details.customer_id {
            self.by_customer.remove(&(tenant_id, customer_id, start, id));
        }
        Some(summary)
    }

    /// Lets go of bookings that began long before `now`. Called with each new booking, so it has one or two to do.
    fn forget_before(&mut self, tenant_id: TenantId, now: Timestamp) {
        let horizon = now.plus_millis(-KEPT_DAYS * DAY_MS);
        let nil = BookingId(uuid::Uuid::nil());
        let old = |set: &imbl::OrdSet<(TenantId, Timestamp, BookingId)>| {
            set.range((tenant_id, Timestamp::MIN, nil)..(tenant_id, horizon, nil)).next().copied()
        };
        let mut gone = Vec::new();
        while let Some((_, _, id)) = old(&self.by_time) {
            gone.extend(self.remove(tenant_id, id).map(|summary| summary.details.status));
        }
        while let Some(key) = old(&self.brought_back) {
            self.brought_back.remove(&key);
        }
        let totals = self.tenants.entry(tenant_id).or_default();
        totals.kept_since = totals.kept_since.max(horizon);
        for status in gone {
            *totals.past.entry(status).or_default() += 1;
        }
    }
}

impl Projection for AppointmentSummaries {
    const NAME: &'static str = "appointment_summaries";
    const FORMAT: u16 = 2;
    const FOLDS: AggregateType = AggregateType::Booking;

    fn apply(&mut self, applicable: &Applicable<'_>) -> Result<(), NotApplicable> {
        let Some(event) = BookingEvent::from_event(applicable.event) else { return Ok(()) };
        let (tenant_id, id) = (applicable.stream.tenant_id, BookingId(applicable.stream.aggregate_id));
        match event {
            BookingEvent::Scheduled(_) => {
                self.forget_before(tenant_id, applicable.occurred_at);
                self.keep(tenant_id, id, evolved(None, event, applicable)?);
            }
            BookingEvent::Rescheduled(moved) => {
                if let Some(summary) = self.remove(tenant_id, id) {
                    self.keep(tenant_id, id, evolved(Some(&summary), event, applicable)?);
                } else {
                    self.changed_after(tenant_id, id, applicable)?;
                    self.bring_back(tenant_id, id, moved);
                }
            }
            BookingEvent::Confirmed(_)
            | BookingEvent::CheckedIn(_)
            | BookingEvent::Completed(_)
            | BookingEvent::NoShow(_)
            | BookingEvent::Cancelled(_) => {
                if let Some(summary) = self.bookings.get_mut(&(tenant_id, id)) {
                    *summary = Arc::new(evolved(Some(summary), event, applicable)?);
                } else {
                    self.changed_after(tenant_id, id, applicable)?;
                }
            }
        }
        Ok(())
    }
}

impl AppointmentSummaries {
    /// A booking that was brought in with a slot long past, or moved there, is a total at once.
    fn keep(&mut self, tenant_id: TenantId, id: BookingId, summary: Summary) {
        let totals = self.tenants.entry(tenant_id).or_default();
        if summary.details.slot.start < totals.kept_since {
            *totals.past.entry(summary.details.status).or_default() += 1;
        } else {
            self.insert(tenant_id, id, summary);
        }
    }

    /// A booking that is in the store only begins at another time from now on.
    fn bring_back(&mut self, tenant_id: TenantId, id: BookingId, moved: &BookingRescheduled) {
        self.brought_back.remove(&(tenant_id, moved.from.start, id));
        if moved.to.start >= self.totals(tenant_id).kept_since {
            self.brought_back.insert((tenant_id, moved.to.start, id));
        }
    }

    /// A change of a booking that isn't kept: legitimate only when bookings have been let go of.
    fn changed_after(
        &mut self,
        tenant_id: TenantId,
        id: BookingId,
        applicable: &Applicable<'_>,
    ) -> Result<(), NotApplicable> {
        let totals = self.tenants.entry(tenant_id).or_default();
        if totals.past.is_empty() {
            return Err(NotApplicable(format!(
                "booking {id} changes at version {} but never began",
                applicable.version
            )));
        }
        totals.past_changes += 1;
        Ok(())
    }
}

/// The same fold as the saga's, so that the two can't disagree.
fn evolved(
    before: Option<&Summary>,
    event: &BookingEvent,
    applicable: &Applicable<'_>,
) -> Result<Summary, NotApplicable> {
    let mut saga = BookingSaga { details: before.map(|summary| summary.details.clone()) };
    saga.evolve(event, applicable.occurred_at);
    let details =
        saga.details.ok_or_else(|| NotApplicable("a booking's first event does not schedule it".to_owned()))?;
    Ok(Summary { version: applicable.version, details })
}
