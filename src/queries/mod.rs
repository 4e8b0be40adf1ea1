//! Queries, whichever mode the tenant is in.

use std::sync::Arc;

use codeccloud_actors::ids::{BookingId, CustomerId, ProductId, StaffId, Version};
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
    /// The same, from a model that may be late.
    pub from_memory: Arc<dyn Queries>,
    pub transactional: Arc<dyn Queries>,
    pub reference: Arc<dyn Reference>,
}

impl StagedQueries {
    /// From the projections where the stage reads these; where one is behind, from the tables if the stage has any. A model
    /// that is late is better than none: while the database is away, too.
    async fn answer<'a, T>(
        &'a self,
        scope: Scope,
        ask: impl Fn(&'a dyn Queries) -> BoxFuture<'a, Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let stage = self.reference.tenant(scope.tenant_id).map(|reference| reference.stage).unwrap_or_default();
        if !stage.reads_projections() {
            return ask(&*self.transactional).await;
        }
        let behind = match ask(&*self.event_sourced).await {
            Err(QueryError::Behind(reason)) => reason,
            answer => return answer,
        };
        if stage.keeps_rows() {
            tracing::warn!(tenant_id = %scope.tenant_id, behind, "a read is answered from the tables");
            match ask(&*self.transactional).await {
                Err(QueryError::Unavailable(reason)) => tracing::warn!(reason, "the tables can't be read either"),
                answer => return answer,
            }
        }
        tracing::warn!(tenant_id = %scope.tenant_id, behind, "a read goes ahead with the model that there is");
        ask(&*self.from_memory).await
    }
}

impl Queries for StagedQueries {
    fn availability(
        &self,
        scope: Scope,
        query: AvailabilityQuery,
    ) -> BoxFuture<'_, Result<Vec<SlotOffer>, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.availability(scope, query.clone())))
    }

    fn booking(&self, scope: Scope, id: BookingId) -> BoxFuture<'_, Result<BookingView, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.booking(scope, id)))
    }

    fn bookings(&self, scope: Scope, filter: BookingFilter) -> BoxFuture<'_, Result<Page<BookingView>, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.bookings(scope, filter.clone())))
    }

    fn loyalty(&self, scope: Scope, customer_id: CustomerId) -> BoxFuture<'_, Result<LoyaltyView, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.loyalty(scope, customer_id)))
    }

    fn loyalty_history(
        &self,
        scope: Scope,
        customer_id: CustomerId,
        before: Option<Version>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<LoyaltyEntry>, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.loyalty_history(scope, customer_id, before, limit)))
    }

    fn staff_utilisation(
        &self,
        scope: Scope,
        staff_id: Option<StaffId>,
        from: Date,
        to: Date,
    ) -> BoxFuture<'_, Result<Vec<UtilisationDay>, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.staff_utilisation(scope, staff_id, from, to)))
    }

    fn stock(&self, scope: Scope, product_id: ProductId) -> BoxFuture<'_, Result<StockView, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.stock(scope, product_id)))
    }

    fn stock_movements(
        &self,
        scope: Scope,
        product_id: ProductId,
        before: Option<Version>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<StockMovement>, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.stock_movements(scope, product_id, before, limit)))
    }

    fn inventory(&self, scope: Scope) -> BoxFuture<'_, Result<Vec<StockView>, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.inventory(scope)))
    }

    fn dashboard(
        &self,
        scope: Scope,
        from: Date,
        to: Date,
        currency: Currency,
    ) -> BoxFuture<'_, Result<Dashboard, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.dashboard(scope, from, to, currency)))
    }

    fn revenue(&self, scope: Scope, query: RevenueQuery) -> BoxFuture<'_, Result<Vec<RevenueRow>, QueryError>> {
        Box::pin(self.answer(scope, move |queries| queries.revenue(scope, query)))
    }
}
