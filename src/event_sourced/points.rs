//! A customer's points: the balance from memory, their history from the stream.

use codeccloud_actors::aggregates::loyalty_balance::{LoyaltyBalance, LoyaltyBalanceEvent, PointsExpired};
use codeccloud_actors::envelope::RecordedEvent;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, CustomerId, StreamId, Version};
use codeccloud_actors::ports::StoreError;
use codeccloud_actors::time::Timestamp;

use super::history;
use super::queries::{EventSourcedQueries, visible};
use crate::ports::{LoyaltyEntry, LoyaltyView, Page, QueryError, Scope};

impl EventSourcedQueries {
    pub(super) async fn points(&self, scope: Scope, customer_id: CustomerId) -> Result<LoyaltyView, QueryError> {
        if !visible(scope, Some(customer_id)) {
            return Err(QueryError::NotFound("customer"));
        }
        let reference = self.reference(scope.tenant_id)?;
        let view = self.fresh(scope, self.ports.projections.loyalty_balances.published()).await?;
        let none = LoyaltyBalance::default();
        let (balance, version) =
            view.fold.model.balance(scope.tenant_id, customer_id).unwrap_or((&none, Version::NONE));
        let now = self.ports.clock.now();
        Ok(LoyaltyView {
            customer_id,
            balance: balance.balance_at(now),
            earned_last_year: u32::try_from(balance.earned_within_year(now)).unwrap_or(u32::MAX),
            tier: balance.tier_at(now, &reference.loyalty).map(|tier| tier.name.clone()),
            next_expiry: balance.next_expiry(now),
            version,
        })
    }

    pub(super) async fn history(
        &self,
        scope: Scope,
        customer_id: CustomerId,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Page<LoyaltyEntry>, QueryError> {
        if !visible(scope, Some(customer_id)) {
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

    /// What has expired since the last event, which the next command will write down in the version after it: so that
    /// the history adds up to the balance at any time.
    async fn expiry_due(
        &self,
        scope: Scope,
        customer_id: CustomerId,
        head: Version,
    ) -> Result<Option<LoyaltyEntry>, QueryError> {
        let view = self.fresh(scope, self.ports.projections.loyalty_balances.published()).await?;
        let known = view.fold.model.balance(scope.tenant_id, customer_id);
        let up_to_date = known.filter(|(_, version)| *version == head);
        let due = up_to_date.and_then(|(balance, _)| balance.expiry_due(self.ports.clock.now()));
        Ok(due.map(|(points, expired_until)| {
            let expired = LoyaltyBalanceEvent::Expired(PointsExpired { points, expired_until });
            entry_of(&expired, head.next(), expired_until)
        }))
    }
}

/// An event that can't be read fails the whole history: with a gap, it would not add up.
fn entry(recorded: &RecordedEvent) -> Result<LoyaltyEntry, QueryError> {
    let read = recorded.event.as_ref().map_err(|unreadable| QueryError::Unavailable(unreadable.to_string()))?;
    let event = LoyaltyBalanceEvent::from_event(read).expect("a balance's stream has a balance's events");
    Ok(entry_of(event, recorded.version, recorded.occurred_at))
}

fn entry_of(event: &LoyaltyBalanceEvent, version: Version, occurred_at: Timestamp) -> LoyaltyEntry {
    let (points, booking_id) = match event {
        LoyaltyBalanceEvent::Accrued(event) => (i64::from(event.points), Some(event.booking_id)),
        LoyaltyBalanceEvent::Redeemed(event) => (-i64::from(event.points), None),
        LoyaltyBalanceEvent::Adjusted(event) => (i64::from(event.points), None),
        LoyaltyBalanceEvent::Reversed(event) => (-i64::from(event.points), Some(event.booking_id)),
        LoyaltyBalanceEvent::Expired(event) => (-i64::from(event.points), None),
    };
    LoyaltyEntry { version, kind: event.event_type(), points, booking_id, occurred_at }
}

fn away(error: StoreError) -> QueryError {
    QueryError::Unavailable(error.to_string())
}
