use std::sync::Arc;
use std::time::{Duration, Instant};

use codeccloud_actors::aggregates::staff_utilisation::{Calendar, SlotQuery, bookable_slots};
use codeccloud_actors::ids::{BookingId, CustomerId, ProductId, StaffId, TenantId, Version};
use codeccloud_actors::money::Currency;
use codeccloud_actors::ports::{Clock, StreamStore};
use codeccloud_actors::projections::Projection;
use codeccloud_actors::projections::appointment_summaries::{AppointmentSummaries, Of};
use codeccloud_actors::reference::TenantReference;
use codeccloud_actors::runtime::{Projections, Published, View};
use codeccloud_actors::sagas::booking::BookingDetails;
use codeccloud_actors::time::Timestamp;
use futures_util::future::BoxFuture;
use jiff::civil::Date;

use super::PastBookings;
use super::bookings::{Bookings, view};
use crate::ports::{
    AvailabilityQuery, BookingFilter, BookingOrder, BookingView, Dashboard, LoyaltyEntry, LoyaltyView, Page, Queries,
    QueryError, Reference, RevenueQuery, RevenueRow, SLOTS_MAX, Scope, Sessions, SlotOffer, StockMovement, StockView,
    UtilisationDay,
};

/// Queries in scale mode: from the projections, in memory.
pub struct EventSourcedQueries {
    pub(super) ports: QueryPorts,
    bookings: Bookings,
}

#[derive(Clone)]
pub struct QueryPorts {
    pub projections: Projections,
    pub reference: Arc<dyn Reference>,
    pub streams: Arc<dyn StreamStore>,
    pub past: Arc<dyn PastBookings>,
    pub sessions: Arc<dyn Sessions>,
    pub clock: Arc<dyn Clock>,
    /// How long a read waits at most for the same user's last write; `None` takes the model as it is.
    pub read_your_writes: Option<Duration>,
}

impl EventSourcedQueries {
    pub fn new(ports: QueryPorts) -> EventSourcedQueries {
        let summaries = ports.projections.appointment_summaries.published().clone();
        let bookings = Bookings { summaries, streams: Arc::clone(&ports.streams) };
        EventSourcedQueries { ports, bookings }
    }

    /// The same queries of the newest model there is, whatever the user has written since.
    pub fn without_waiting(&self) -> EventSourcedQueries {
        EventSourcedQueries::new(QueryPorts { read_your_writes: None, ..self.ports.clone() })
    }

    /// A model that has the user's last write in it. `Behind` when that takes too long, or when the model is history for this
    /// tenant.
    pub(super) async fn fresh<P: Projection>(
        &self,
        scope: Scope,
        published: &Published<P>,
    ) -> Result<Arc<View<P>>, QueryError> {
        if let Some(wait) = self.ports.read_your_writes
            && let Some(written) = self.ports.sessions.last_write(scope.tenant_id, scope.caller.user_id).await
            && !published.wait_past(written, Instant::now() + wait).await
        {
            return Err(QueryError::Behind(format!("{} has not seen transaction {written} yet", P::NAME)));
        }
        let view = published.view();
        if !view.live {
            return Err(QueryError::Behind(format!("{} is catching up", P::NAME)));
        }
        if view.fold.stopped.contains_key(&scope.tenant_id) {
            return Err(QueryError::Behind(format!("{} is stopped for this tenant", P::NAME)));
        }
        Ok(view)
    }

    pub(super) fn reference(&self, tenant_id: TenantId) -> Result<Arc<TenantReference>, QueryError> {
        self.ports.reference.tenant(tenant_id).ok_or(QueryError::NotFound("tenant"))
    }

    async fn offers(&self, scope: Scope, query: AvailabilityQuery) -> Result<Vec<SlotOffer>, QueryError> {
        let reference = self.reference(scope.tenant_id)?;
        let service =
            reference.services.get(&query.service_id).filter(|s| s.active).ok_or(QueryError::NotFound("service"))?;
        let mut members: Vec<_> = match query.staff_id {
            Some(id) => vec![reference.staff.get(&id).filter(|m| m.active).ok_or(QueryError::NotFound("staff"))?],
            None => reference.staff.values().collect(),
        };
        members.sort_unstable_by_key(|member| member.id);
        let view = self.fresh(scope, self.ports.projections.availability.published()).await?;
        let never_booked = Calendar::default();
        let slots = SlotQuery {
            span: query.range,
            granularity_minutes: query.granularity_minutes,
            now: self.ports.clock.now(),
        };
        let mut offers = Vec::new();
        for (nth, member) in members.into_iter().enumerate() {
            if nth > 0 {
                // A large salon's quarter takes a while: others get their turn, and the time limit its effect.
                tokio::task::yield_now().await;
            }
            let calendar = view.fold.model.calendar(scope.tenant_id, member.id).unwrap_or(&never_booked);
            let bookable = bookable_slots(calendar, &reference, member, service, &slots);
            offers.extend(bookable.into_iter().map(|slot| SlotOffer {
                slot,
                service_id: service.id,
                staff_id: member.id,
            }));
            if offers.len() > SLOTS_MAX {
                return Err(QueryError::TooManySlots { slots_max: SLOTS_MAX });
            }
        }
        if query.staff_id.is_none() {
            offers.sort_unstable_by_key(|offer| (offer.slot.start, offer.staff_id));
        }
        Ok(offers)
    }

    async fn one(&self, scope: Scope, id: BookingId) -> Result<BookingView, QueryError> {
        self.fresh(scope, self.ports.projections.appointment_summaries.published()).await?;
        let found = self.bookings.find(scope.tenant_id, id).await;
        let booking = found.map_err(|away| QueryError::Unavailable(away.to_string()))?;
        booking.filter(|booking| scope.sees(booking.details.customer_id)).ok_or(QueryError::NotFound("booking"))
    }

    async fn many(&self, scope: Scope, filter: BookingFilter) -> Result<Page<BookingView>, QueryError> {
        let filter = match scope.caller.own_customer() {
            // Another's bookings are as if they weren't there.
            Some(own) if filter.customer_id.is_some_and(|asked| asked != own) => {
                return Ok(Page { items: Vec::new(), more: false });
            }
            Some(own) => BookingFilter { customer_id: Some(own), ..filter },
            None => filter,
        };
        let view = self.fresh(scope, self.ports.projections.appointment_summaries.published()).await?;
        let model = &view.fold.model;
        let kept_since = model.totals(scope.tenant_id).kept_since;
        let wanted = filter.limit + 1;
        let mut items = Vec::new();
        // In the order asked for: what is only in the store lies before what is in memory.
        if filter.order == BookingOrder::EarliestFirst {
            items = self.past(scope, &filter, kept_since, wanted).await?;
        }
        if items.len() < wanted {
            items.extend(self.kept(scope, model, &filter, wanted - items.len()).await?);
        }
        if filter.order == BookingOrder::LatestFirst && items.len() < wanted {
            items.extend(self.past(scope, &filter, kept_since, wanted - items.len()).await?);
        }
        let more = items.len() > filter.limit;
        items.truncate(filter.limit);
        Ok(Page { items, more })
    }

    /// From memory, and those few from the store that were let go of and then moved to a time that is kept.
    async fn kept(
        &self,
        scope: Scope,
        model: &AppointmentSummaries,
        filter: &BookingFilter,
        wanted: usize,
    ) -> Result<Vec<BookingView>, QueryError> {
        let mut items = from_memory(model, scope.tenant_id, filter, wanted);
        let (from, to) = bounds(filter);
        let brought_back: Vec<BookingId> = model.brought_back(scope.tenant_id, from, to).collect();
        if brought_back.is_empty() {
            return Ok(items);
        }
        let found = self.ports.past.some(scope.tenant_id, brought_back).await;
        let found = found.map_err(|away| QueryError::Unavailable(away.to_string()))?;
        items.extend(found.into_iter().filter(|booking| is_asked_for(filter, booking.id, &booking.details)));
        items.sort_unstable_by_key(|booking| (booking.details.slot.start, booking.id));
        if filter.order == BookingOrder::LatestFirst {
            items.reverse();
        }
        items.truncate(wanted);
        Ok(items)
    }

    async fn past(
        &self,
        scope: Scope,
        filter: &BookingFilter,
        kept_since: Timestamp,
        wanted: usize,
    ) -> Result<Vec<BookingView>, QueryError> {
        let (from, to) = bounds(filter);
        let to = to.min(kept_since);
        if from >= to {
            return Ok(Vec::new());
        }
        let filter = BookingFilter { from: Some(from), to: Some(to), limit: wanted, ..filter.clone() };
        let found = self.ports.past.list(scope.tenant_id, filter).await;
        found.map_err(|away| QueryError::Unavailable(away.to_string()))
    }

    async fn utilisation(
        &self,
        scope: Scope,
        staff_id: Option<StaffId>,
        from: Date,
        to: Date,
    ) -> Result<Vec<UtilisationDay>, QueryError> {
        let reference = self.reference(scope.tenant_id)?;
        let mut staff: Vec<StaffId> = match staff_id {
            Some(id) if !reference.staff.contains_key(&id) => return Err(QueryError::NotFound("staff")),
            Some(id) => vec![id],
            None => reference.staff.keys().copied().collect(),
        };
        staff.sort_unstable();
        let view = self.fresh(scope, self.ports.projections.staff_utilisation.published()).await?;
        let until = to.tomorrow().unwrap_or(to);
        let days = staff.into_iter().flat_map(|staff_id| {
            let days = view.fold.model.days(scope.tenant_id, staff_id, from, until);
            days.iter().map(move |day| UtilisationDay {
                staff_id,
                date: day.date,
                booked_minutes: day.booked_minutes,
                working_minutes: day.working_minutes,
            })
        });
        Ok(days.collect())
    }
}

impl Queries for EventSourcedQueries {
    fn availability(
        &self,
        scope: Scope,
        query: AvailabilityQuery,
    ) -> BoxFuture<'_, Result<Vec<SlotOffer>, QueryError>> {
        Box::pin(self.offers(scope, query))
    }

    fn booking(&self, scope: Scope, id: BookingId) -> BoxFuture<'_, Result<BookingView, QueryError>> {
        Box::pin(self.one(scope, id))
    }

    fn bookings(&self, scope: Scope, filter: BookingFilter) -> BoxFuture<'_, Result<Page<BookingView>, QueryError>> {
        Box::pin(self.many(scope, filter))
    }

    fn loyalty(&self, scope: Scope, customer_id: CustomerId) -> BoxFuture<'_, Result<LoyaltyView, QueryError>> {
        Box::pin(self.points(scope, customer_id))
    }

    fn loyalty_history(
        &self,
        scope: Scope,
        customer_id: CustomerId,
        before: Option<Version>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<LoyaltyEntry>, QueryError>> {
        Box::pin(self.history(scope, customer_id, before, limit))
    }

    fn staff_utilisation(
        &self,
        scope: Scope,
        staff_id: Option<StaffId>,
        from: Date,
        to: Date,
    ) -> BoxFuture<'_, Result<Vec<UtilisationDay>, QueryError>> {
        Box::pin(self.utilisation(scope, staff_id, from, to))
    }

    fn stock(&self, scope: Scope, product_id: ProductId) -> BoxFuture<'_, Result<StockView, QueryError>> {
        Box::pin(self.stock_of(scope, product_id))
    }

    fn stock_movements(
        &self,
        scope: Scope,
        product_id: ProductId,
        before: Option<Version>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<StockMovement>, QueryError>> {
        Box::pin(self.movements(scope, product_id, before, limit))
    }

    fn inventory(&self, scope: Scope) -> BoxFuture<'_, Result<Vec<StockView>, QueryError>> {
        Box::pin(self.all_stock(scope))
    }

    fn dashboard(
        &self,
        scope: Scope,
        from: Date,
        to: Date,
        currency: Currency,
    ) -> BoxFuture<'_, Result<Dashboard, QueryError>> {
        Box::pin(self.salon_figures(scope, from, to, currency))
    }

    fn revenue(&self, scope: Scope, query: RevenueQuery) -> BoxFuture<'_, Result<Vec<RevenueRow>, QueryError>> {
        Box::pin(self.broken_down(scope, query))
    }
}

/// The span that is left of the filter's, `[from, to)`, past the page before.
fn bounds(filter: &BookingFilter) -> (Timestamp, Timestamp) {
    let (from, to) = (filter.from.unwrap_or(Timestamp::MIN), filter.to.unwrap_or(Timestamp::MAX));
    match (filter.after, filter.order) {
        (None, _) => (from, to),
        (Some((at, _)), BookingOrder::EarliestFirst) => (from.max(at), to),
        (Some((at, _)), BookingOrder::LatestFirst) => (from, to.min(at.plus_millis(1))),
    }
}

fn from_memory(
    model: &AppointmentSummaries,
    tenant_id: TenantId,
    filter: &BookingFilter,
    wanted: usize,
) -> Vec<BookingView> {
    let of = match (filter.customer_id, filter.staff_id) {
        (Some(customer_id), _) => Of::Customer(customer_id),
        (None, Some(staff_id)) => Of::Staff(staff_id),
        (None, None) => Of::Tenant,
    };
    let (from, to) = bounds(filter);
    let listed = model.list(tenant_id, of, from, to);
    let ordered: Box<dyn Iterator<Item = _>> = match filter.order {
        BookingOrder::EarliestFirst => listed,
        BookingOrder::LatestFirst => Box::new(listed.rev()),
    };
    ordered
        .filter(|(id, summary)| is_asked_for(filter, *id, &summary.details))
        .take(wanted)
        .map(|(id, summary)| view(id, summary))
        .collect()
}

fn is_asked_for(filter: &BookingFilter, id: BookingId, details: &BookingDetails) -> bool {
    let (from, to) = bounds(filter);
    let key = (details.slot.start, id);
    let beyond = filter.after.is_none_or(|after| match filter.order {
        BookingOrder::EarliestFirst => key > after,
        BookingOrder::LatestFirst => key < after,
    });
    beyond
        && (from..to).contains(&details.slot.start)
        && filter.staff_id.is_none_or(|staff_id| details.staff_id == staff_id)
        && filter.customer_id.is_none_or(|customer_id| details.customer_id == Some(customer_id))
        && (filter.statuses.is_empty() || filter.statuses.contains(&details.status))
        && filter.moved.is_none_or(|moved| details.moved == moved)
}
