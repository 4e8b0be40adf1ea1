use std::collections::HashMap;
use std::sync::Arc;

use codeccloud_actors::aggregates::loyalty_balance::LoyaltyBalanceEvent;
use codeccloud_actors::aggregates::staff_utilisation::{Calendar, SlotQuery, bookable_slots};
use codeccloud_actors::ids::{BookingId, CustomerId, ProductId, StaffId, TenantId, Version};
use codeccloud_actors::money::Currency;
use codeccloud_actors::ports::Clock;
use codeccloud_actors::reference::{StaffMember, TenantReference};
use codeccloud_actors::time::Slot;
use futures_util::future::BoxFuture;
use jiff::civil::Date;
use tokio_postgres::types::Type;

use super::CallerPools;
use super::lists::List;
use super::places::Places;
use super::reading::Reading;
use super::rows::{self, APPOINTMENT, Appointment};
use crate::ports::{
    AvailabilityQuery, BookingFilter, BookingView, Dashboard, LoyaltyEntry, LoyaltyView, Page, Queries, QueryError,
    Reference, RevenueQuery, RevenueRow, SLOTS_MAX, Scope, SlotOffer, StockMovement, StockView, UtilisationDay,
};
use crate::postgres::ConnectionPool;
use crate::postgres::types::{PgDate, PgMicros, PgTime};

/// People whose slots are read at a time: a large salon's quarter is not held in memory as a whole.
const STAFF_AT_A_TIME: usize = 20;

const BUSY: &str = "SELECT * FROM app_private.busy_slots($1, $2, $3)";

/// Queries in MVP mode: from the tables, under the caller's own policies.
pub struct TransactionalQueries {
    pub(super) ports: TransactionalQueryPorts,
    places: Places,
}

pub struct TransactionalQueryPorts {
    pub callers: CallerPools,
    pub readers: ConnectionPool,
    pub reference: Arc<dyn Reference>,
    pub clock: Arc<dyn Clock>,
}

impl TransactionalQueries {
    pub fn new(ports: TransactionalQueryPorts) -> TransactionalQueries {
        let places = Places::new(ports.readers.clone());
        TransactionalQueries { ports, places }
    }

    pub(super) async fn reading(&self, scope: Scope) -> Result<Reading<'_>, QueryError> {
        Reading::new(&self.ports.callers, scope).await
    }

    pub(super) fn reference(&self, tenant_id: TenantId) -> Result<Arc<TenantReference>, QueryError> {
        self.ports.reference.tenant(tenant_id).ok_or(QueryError::NotFound("tenant"))
    }

    async fn offers(&self, scope: Scope, query: AvailabilityQuery) -> Result<Vec<SlotOffer>, QueryError> {
        let reference = self.reference(scope.tenant_id)?;
        let service =
            reference.services.get(&query.service_id).filter(|s| s.active).ok_or(QueryError::NotFound("service"))?;
        let mut members: Vec<&StaffMember> = match query.staff_id {
            Some(id) => vec![reference.staff.get(&id).filter(|m| m.active).ok_or(QueryError::NotFound("staff"))?],
            None => reference.staff.values().collect(),
        };
        members.sort_unstable_by_key(|member| member.id);
        let slots = SlotQuery {
            span: query.range,
            granularity_minutes: query.granularity_minutes,
            now: self.ports.clock.now(),
        };
        let never_booked = Calendar::default();
        let mut offers = Vec::new();
        for some in members.chunks(STAFF_AT_A_TIME) {
            let calendars = self.calendars(scope, some, query.range).await?;
            for member in some {
                let calendar = calendars.get(&member.id).unwrap_or(&never_booked);
                let bookable = bookable_slots(calendar, &reference, member, service, &slots);
                offers.extend(bookable.into_iter().map(|slot| SlotOffer {
                    slot,
                    service_id: service.id,
                    staff_id: member.id,
                }));
            }
            if offers.len() > SLOTS_MAX {
                return Err(QueryError::TooManySlots { slots_max: SLOTS_MAX });
            }
        }
        if query.staff_id.is_none() {
            offers.sort_unstable_by_key(|offer| (offer.slot.start, offer.staff_id));
        }
        Ok(offers)
    }

    async fn calendars(
        &self,
        scope: Scope,
        members: &[&StaffMember],
        range: Slot,
    ) -> Result<HashMap<StaffId, Calendar>, QueryError> {
        let staff: Vec<uuid::Uuid> = members.iter().map(|member| member.id.0).collect();
        // A day for the buffers of slots that lie outside.
        let around = range.widened(24 * 60, 24 * 60);
        let (start, end) = (PgTime(around.start), PgTime(around.end));
        let arguments =
            [(&staff as _, Type::UUID_ARRAY), (&start as _, Type::TIMESTAMPTZ), (&end as _, Type::TIMESTAMPTZ)];
        let rows = self.reading(scope).await?.query(BUSY, &arguments).await?;
        let mut reservations: HashMap<StaffId, Vec<_>> = HashMap::new();
        for (staff_id, reservation) in rows.iter().filter_map(rows::reservation) {
            reservations.entry(staff_id).or_default().push(reservation);
        }
        Ok(reservations.into_iter().map(|(staff_id, held)| (staff_id, Calendar::of(held))).collect())
    }

    async fn one(&self, scope: Scope, id: BookingId) -> Result<BookingView, QueryError> {
        let tenant_id = scope.tenant_id;
        let seen = self.places.seen(tenant_id, id).await.map_err(|away| unavailable(&away))?;
        let Some(seen) = seen else { return Err(QueryError::NotFound("booking")) };
        if let Some(booking) = self.at(scope, id, seen.slot_start).await? {
            return Ok(booking);
        }
        // It has moved since it was seen, or is somebody else's.
        let found = self.places.find(tenant_id, id).await.map_err(|away| unavailable(&away))?;
        let Some(found) = found.filter(|found| found.slot_start != seen.slot_start) else {
            return Err(QueryError::NotFound("booking"));
        };
        self.at(scope, id, found.slot_start).await?.ok_or(QueryError::NotFound("booking"))
    }

    async fn at(&self, scope: Scope, id: BookingId, at: PgMicros) -> Result<Option<BookingView>, QueryError> {
        let sql =
            format!("SELECT {APPOINTMENT} FROM appointments WHERE tenant_id = $1 AND slot_start = $2 AND id = $3");
        let arguments =
            [(&scope.tenant_id.0 as _, Type::UUID), (&at as _, Type::TIMESTAMPTZ), (&id.0 as _, Type::UUID)];
        let rows = self.reading(scope).await?.query(&sql, &arguments).await?;
        let read = rows.first().map(rows::appointment).transpose().map_err(|unreadable| unavailable(&unreadable))?;
        Ok(read.map(view))
    }

    async fn many(&self, scope: Scope, filter: BookingFilter) -> Result<Page<BookingView>, QueryError> {
        let list = List::of(scope.tenant_id, &filter);
        let rows = self.reading(scope).await?.query(&list.sql, &list.arguments()).await?;
        let more = rows.len() > filter.limit;
        let read = rows.iter().take(filter.limit).map(rows::appointment);
        let items = read.collect::<Result<Vec<_>, _>>().map_err(|unreadable| unavailable(&unreadable))?;
        Ok(Page { items: items.into_iter().map(view).collect(), more })
    }

    async fn points(&self, scope: Scope, customer_id: CustomerId) -> Result<LoyaltyView, QueryError> {
        let reference = self.reference(scope.tenant_id)?;
        let (version, balance) = self.account(scope, customer_id).await?;
        Ok(LoyaltyView::of(customer_id, version, &balance, &reference, self.ports.clock.now()))
    }

    async fn account(
        &self,
        scope: Scope,
        customer_id: CustomerId,
    ) -> Result<(Version, codeccloud_actors::aggregates::loyalty_balance::LoyaltyBalance), QueryError> {
        if !scope.sees(Some(customer_id)) {
            return Err(QueryError::NotFound("customer"));
        }
        let sql = "SELECT version, state FROM loyalty_accounts WHERE tenant_id = $1 AND customer_id = $2";
        let arguments = [(&scope.tenant_id.0 as _, Type::UUID), (&customer_id.0 as _, Type::UUID)];
        let rows = self.reading(scope).await?.query(sql, &arguments).await?;
        let read = rows.first().map(rows::balance).transpose().map_err(|unreadable| unavailable(&unreadable))?;
        Ok(read.unwrap_or_default())
    }

    async fn history(
        &self,
        scope: Scope,
        customer_id: CustomerId,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Page<LoyaltyEntry>, QueryError> {
        let mut items = Vec::new();
        if before.is_none() {
            let (version, balance) = self.account(scope, customer_id).await?;
            items.extend(LoyaltyEntry::expiry_due(version, &balance, self.ports.clock.now()));
        } else if !scope.sees(Some(customer_id)) {
            return Err(QueryError::NotFound("customer"));
        }
        let sql = "SELECT version, kind, points, booking_id, created_at FROM loyalty_ledger \
                   WHERE tenant_id = $1 AND customer_id = $2 AND version < $3 ORDER BY version DESC LIMIT $4";
        let below = before.map_or(i32::MAX, |version| i32::try_from(version.0).unwrap_or(i32::MAX));
        let wanted = limit - items.len();
        let rows_max = i64::try_from(wanted + 1).unwrap_or(i64::MAX);
        let arguments = [
            (&scope.tenant_id.0 as _, Type::UUID),
            (&customer_id.0 as _, Type::UUID),
            (&below as _, Type::INT4),
            (&rows_max as _, Type::INT8),
        ];
        let rows = self.reading(scope).await?.query(sql, &arguments).await?;
        items.extend(rows.iter().take(wanted).filter_map(entry));
        Ok(Page { items, more: rows.len() > wanted })
    }

    async fn utilisation(
        &self,
        scope: Scope,
        staff_id: Option<StaffId>,
        from: Date,
        to: Date,
    ) -> Result<Vec<UtilisationDay>, QueryError> {
        let reference = self.reference(scope.tenant_id)?;
        let staff: Vec<uuid::Uuid> = match staff_id {
            Some(id) if !reference.staff.contains_key(&id) => return Err(QueryError::NotFound("staff")),
            Some(id) => vec![id.0],
            None => reference.staff.keys().map(|id| id.0).collect(),
        };
        let sql = "SELECT staff_id, day, booked_minutes, working_minutes FROM availability_calendars \
                   WHERE tenant_id = $1 AND staff_id = ANY ($2) AND day BETWEEN $3 AND $4 ORDER BY staff_id, day";
        let (from, to) = (PgDate(from), PgDate(to));
        let arguments = [
            (&scope.tenant_id.0 as _, Type::UUID),
            (&staff as _, Type::UUID_ARRAY),
            (&from as _, Type::DATE),
            (&to as _, Type::DATE),
        ];
        let rows = self.reading(scope).await?.query(sql, &arguments).await?;
        let day = |row: &tokio_postgres::Row| {
            let PgDate(date) = row.get(1);
            let minutes = |column| u32::try_from(row.get::<_, i32>(column)).unwrap_or(0);
            let (booked_minutes, working_minutes) = (minutes(2), minutes(3));
            UtilisationDay { staff_id: StaffId(row.get(0)), date, booked_minutes, working_minutes }
        };
        Ok(rows.iter().map(day).collect())
    }
}

fn view(appointment: Appointment) -> BookingView {
    BookingView { id: appointment.id, version: appointment.version, details: appointment.details }
}

/// Entries of a kind that only newer builds know are left out.
fn entry(row: &tokio_postgres::Row) -> Option<LoyaltyEntry> {
    let kind: &str = row.get(1);
    let (kind, _) = LoyaltyBalanceEvent::TYPES.iter().find(|(name, _)| *name == kind)?;
    let PgTime(occurred_at) = row.get(4);
    Some(LoyaltyEntry {
        version: Version(u32::try_from(row.get::<_, i32>(0)).unwrap_or(0)),
        kind,
        points: row.get(2),
        booking_id: row.get::<_, Option<_>>(3).map(BookingId),
        occurred_at,
    })
}

pub(super) fn unavailable(reason: &impl ToString) -> QueryError {
    QueryError::Unavailable(reason.to_string())
}

impl Queries for TransactionalQueries {
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
