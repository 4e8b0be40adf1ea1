//! Stock: what there is from memory, how it came about from the item's stream.

use codeccloud_actors::aggregates::stock_item::{Movement, StockItem, StockItemEvent};
use codeccloud_actors::envelope::RecordedEvent;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, ProductId, StreamId, Version};
use codeccloud_actors::ports::StoreError;
use codeccloud_actors::time::Timestamp;

use super::history;
use super::queries::EventSourcedQueries;
use crate::ports::{Page, QueryError, Scope, StockMovement, StockView};

impl EventSourcedQueries {
    pub(super) async fn stock_of(&self, scope: Scope, product_id: ProductId) -> Result<StockView, QueryError> {
        self.check_product(scope, product_id)?;
        let view = self.fresh(scope, self.ports.projections.inventory.published()).await?;
        let known = view.fold.model.item(scope.tenant_id, product_id);
        Ok(shown(product_id, known, self.ports.clock.now()))
    }

    pub(super) async fn all_stock(&self, scope: Scope) -> Result<Vec<StockView>, QueryError> {
        let reference = self.reference(scope.tenant_id)?;
        let mut products: Vec<ProductId> = reference.products.keys().copied().collect();
        products.sort_unstable();
        let view = self.fresh(scope, self.ports.projections.inventory.published()).await?;
        let (model, now) = (&view.fold.model, self.ports.clock.now());
        Ok(products.into_iter().map(|id| shown(id, model.item(scope.tenant_id, id), now)).collect())
    }

    pub(super) async fn movements(
        &self,
        scope: Scope,
        product_id: ProductId,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Page<StockMovement>, QueryError> {
        self.check_product(scope, product_id)?;
        let (tenant_id, aggregate_type) = (scope.tenant_id, AggregateType::StockItem);
        let stream = StreamId { tenant_id, aggregate_type, aggregate_id: product_id.0 };
        let loaded = self.ports.streams.load(stream).await.map_err(away)?;
        let (events, more) = history::newest(&*self.ports.streams, &loaded, before, limit).await.map_err(away)?;
        Ok(Page { items: events.iter().map(movement).collect::<Result<_, _>>()?, more })
    }

    fn check_product(&self, scope: Scope, product_id: ProductId) -> Result<(), QueryError> {
        let is_known = self.reference(scope.tenant_id)?.products.contains_key(&product_id);
        if is_known { Ok(()) } else { Err(QueryError::NotFound("product")) }
    }
}

fn shown(product_id: ProductId, known: Option<(&StockItem, Version)>, now: Timestamp) -> StockView {
    let none = StockItem::default();
    let (item, version) = known.unwrap_or((&none, Version::NONE));
    StockView { product_id, on_hand: item.on_hand(), reserved: item.reserved_at(now), version }
}

/// An event that can't be read fails the whole list: with a gap, it would not add up.
fn movement(recorded: &RecordedEvent) -> Result<StockMovement, QueryError> {
    let read = recorded.event.as_ref().map_err(|unreadable| QueryError::Unavailable(unreadable.to_string()))?;
    let event = StockItemEvent::from_event(read).expect("a stock item's stream has a stock item's events");
    let Movement { quantity_delta, reserved_delta, reason, reservation_id } = event.movement();
    Ok(StockMovement {
        version: recorded.version,
        quantity_delta,
        reserved_delta,
        reason: reason.to_owned(),
        reservation_id,
        occurred_at: recorded.occurred_at,
    })
}

fn away(error: StoreError) -> QueryError {
    QueryError::Unavailable(error.to_string())
}
