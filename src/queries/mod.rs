//! Queries, whichever mode the tenant is in.

use std::sync::Arc;

use codeccloud_actors::ids::{BookingId, CustomerId, ProductId, StaffId, TenantId, Version};
use codeccloud_actors::money::Currency;
use futures_util::future::BoxFuture;
use jiff::civil::Date;

use crate::ports::{
    AvailabilityQuery, BookingFilter, BookingView, Dashboard, LoyaltyEntry, LoyaltyView, Page, Queries, QueryError,
    Reference, RevenueQuery, RevenueRow, Scope, SlotOffer, StockMovement, StockView, UtilisationDay,
};

/// The stage is the one that memory has. A query that is answered in the other mode because of that sees what was there a
/// moment ago.
pub struct StagedQueries {
    pub event_sourced: Arc<dyn Queries>,
    pub transactional: Arc<dyn Queries>,
    pub reference: Arc<dyn Reference>,
}

impl StagedQueries {
    fn of(&self, tenant_id: TenantId) -> &dyn Queries {
        let stage = self.reference.tenant(tenant_id).map(|reference| reference.stage).unwrap_or_default();
        if stage.reads_projections() { &*self.event_sourced } else { &*self.transactional }
    }
}

impl Queries for StagedQueries {
    fn availability(
        &self,
        scope: Scope,
        query: AvailabilityQuery,
    ) -> BoxFuture<'_, Result<Vec<SlotOffer>, QueryError>> {
        self.of(scope.tenant_id).availability(scope, query)
    }

    fn booking(&self, scope: Scope, id: BookingId) -> BoxFuture<'_, Result<BookingView, QueryError>> {
        self.of(scope.tenant_id).booking(scope, id)
    }

    fn bookings(&self, scope: Scope, filter: BookingFilter) -> BoxFuture<'_, Result<Page<BookingView>, QueryError>> {
        self.of(scope.tenant_id).bookings(scope, filter)
    }

    fn loyalty(&self, scope: Scope, customer_id: CustomerId) -> BoxFuture<'_, Result<LoyaltyView, QueryError>> {
        self.of(scope.tenant_id).loyalty(scope, customer_id)
    }

    fn loyalty_history(
        &self,
        scope: Scope,
        customer_id: CustomerId,
        before: Option<Version>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<LoyaltyEntry>, QueryError>> {
        self.of(scope.tenant_id).loyalty_history(scope, customer_id, before, limit)
    }

    fn staff_utilisation(
        &self,
        scope: Scope,
        staff_id: Option<StaffId>,
        from: Date,
        to: Date,
    ) -> BoxFuture<'_, Result<Vec<UtilisationDay>, QueryError>> {
        self.of(scope.tenant_id).staff_utilisation(scope, staff_id, from, to)
    }

    fn stock(&self, scope: Scope, product_id: ProductId) -> BoxFuture<'_, Result<StockView, QueryError>> {
        self.of(scope.tenant_id).stock(scope, product_id)
    }

    fn stock_movements(
        &self,
        scope: Scope,
        product_id: ProductId,
        before: Option<Version>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<StockMovement>, QueryError>> {
        self.of(scope.tenant_id).stock_movements(scope, product_id, before, limit)
    }

    fn inventory(&self, scope: Scope) -> BoxFuture<'_, Result<Vec<StockView>, QueryError>> {
        self.of(scope.tenant_id).inventory(scope)
    }

    fn dashboard(
        &self,
        scope: Scope,
        from: Date,
        to: Date,
        currency: Currency,
    ) -> BoxFuture<'_, Result<Dashboard, QueryError>> {
        self.of(scope.tenant_id).dashboard(scope, from, to, currency)
    }

    fn revenue(&self, scope: Scope, query: RevenueQuery) -> BoxFuture<'_, Result<Vec<RevenueRow>, QueryError>> {
        self.of(scope.tenant_id).revenue(scope, query)
    }
}
