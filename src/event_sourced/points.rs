//! A customer's points: the balance from memory, their history from the stream.

use codeccloud_actors::aggregates::loyalty_balance::{LoyaltyBalance, LoyaltyBalanceEvent};
use codeccloud_actors::envelope::RecordedEvent;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, CustomerId, StreamId, Version};
use codeccloud_actors::ports::StoreError;

use super::history;
use super::queries::EventSourcedQueries;
use crate::ports::{LoyaltyEntry, LoyaltyView, Page, QueryError, Scope};

impl EventSourcedQueries {
    pub(super) async fn points(&self, scope: Scope, customer_id: CustomerId) -> Result<LoyaltyView, QueryError> {
        if !scope.sees(Some(customer_id)) {
            return Err(QueryError::NotFound("customer"));
        }
        let reference = self.reference(scope.tenant_id)?;
        let view = self.fresh(scope, self.ports.projections.loyalty_balances.published()).await?;
        let none = LoyaltyBalance::default();
        let (balance, version) =
            view.fold.model.balance(scope.tenant_id, customer_id).unwrap_or((&none, Version::NONE));
        Ok(LoyaltyView::of(customer_id, version, balance, &reference, self.ports.clock.now()))
    }

    pub(super) async fn history(
        &self,
        scope: Scope,
        customer_id: CustomerId,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Page<LoyaltyEntry>, QueryError> {
        if !scope.sees(Some(customer_id)) {
            return Err(QueryError::NotFound("customer"));
        }
        let (tenant_id, aggregate_type) = (scope.tenant_id, AggregateType::LoyaltyBalance);
        let stream = StreamId { tenant_id, aggregate_type, aggregate_id: customer_id.0 };
        let loaded = self.ports.streams.load(stream).await.map_err(away)?;
        let mut items = Vec::new();
        if before.is_none() {
            items.extend(self.expiry_due(scope, customer_id, loaded.head.version).await?);
        }
        let wanted = limit - items.len();
        let (events, more) = history::newest(&*self.ports.streams, &loaded, before, wanted).await.map_err(away)?;
        for event in &events {
            items.push(entry(event)?);
        }
        Ok(Page { items, more })
    }

    /// Where memory is as far as the store.
    async fn expiry_due(
        &self,
        scope: Scope,
        customer_id: CustomerId,
        head: Version,
    ) -> Result<Option<LoyaltyEntry>, QueryError> {
        let view = self.fresh(scope, self.ports.projections.loyalty_balances.published()).await?;
        let known = view.fold.model.balance(scope.tenant_id, customer_id);
        let up_to_date = known.filter(|(_, version)| *version == head);
        let now = self.ports.clock.now();
        Ok(up_to_date.and_then(|(balance, _)| LoyaltyEntry::expiry_due(head, balance, now)))
    }
}

/// An event that can't be read fails the whole history: with a gap, it would not add up.
fn entry(recorded: &RecordedEvent) -> Result<LoyaltyEntry, QueryError> {
    let read = recorded.event.as_ref().map_err(|unreadable| QueryError::Unavailable(unreadable.to_string()))?;
    let event = LoyaltyBalanceEvent::from_event(read).expect("a balance's stream has a balance's events");
    Ok(LoyaltyEntry::of(event, recorded.version, recorded.occurred_at))
}

fn away(error: StoreError) -> QueryError {
    QueryError::Unavailable(error.to_string())
}
