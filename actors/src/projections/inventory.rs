//! What there is of every product: the same fold as the aggregate's, kept for all products at once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::aggregates::stock_item::{StockItem, StockItemEvent};
use crate::event::EventBody;
use crate::ids::{AggregateType, ProductId, TenantId, Version};

use super::{Applicable, NotApplicable, Projection};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Ordered by tenant first, so that a tenant's products are next to each other.
    items: imbl::OrdMap<(TenantId, ProductId), Arc<Entry>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Entry {
    version: Version,
    item: StockItem,
}

impl Inventory {
    /// `None` for a product that was never moved.
    pub fn item(&self, tenant_id: TenantId, product_id: ProductId) -> Option<(&StockItem, Version)> {
        self.items.get(&(tenant_id, product_id)).map(|entry| (&entry.item, entry.version))
    }

    /// All items of all tenants: their sums are what reconciliation compares.
    pub fn items(&self) -> impl Iterator<Item = (TenantId, ProductId, &StockItem)> {
        self.items.iter().map(|((tenant_id, product_id), entry)| (*tenant_id, *product_id, &entry.item))
    }
}

impl Projection for Inventory {
    const NAME: &'static str = "inventory";
    const FORMAT: u16 = 1;
    const FOLDS: AggregateType = AggregateType::StockItem;

    fn apply(&mut self, applicable: &Applicable<'_>) -> Result<(), NotApplicable> {
        if let Some(event) = StockItemEvent::from_event(applicable.event) {
            let key = (applicable.stream.tenant_id, ProductId(applicable.stream.aggregate_id));
            let entry = Arc::make_mut(self.items.entry(key).or_default());
            entry.item.evolve(event, applicable.occurred_at);
            entry.version = applicable.version;
        }
        Ok(())
    }
}
