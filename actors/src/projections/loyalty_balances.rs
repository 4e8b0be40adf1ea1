//! Every customer's points: the same fold as the aggregate's, kept for all customers at once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::aggregates::loyalty_balance::{LoyaltyBalance, LoyaltyBalanceEvent};
use crate::event::EventBody;
use crate::ids::{AggregateType, CustomerId, TenantId, Version};

use super::{Applicable, NotApplicable, Projection};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LoyaltyBalances {
    balances: imbl::HashMap<(TenantId, CustomerId), Arc<Entry>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Entry {
    version: Version,
    balance: LoyaltyBalance,
}

impl LoyaltyBalances {
    /// `None` for a customer who never had points.
    pub fn balance(&self, tenant_id: TenantId, customer_id: CustomerId) -> Option<(&LoyaltyBalance, Version)> {
        self.balances.get(&(tenant_id, customer_id)).map(|entry| (&entry.balance, entry.version))
    }

    pub fn balances(&self) -> impl Iterator<Item = (TenantId, CustomerId, &LoyaltyBalance)> {
        self.balances.iter().map(|((tenant_id, customer_id), entry)| (*tenant_id, *customer_id, &entry.balance))
    }
}

impl Projection for LoyaltyBalances {
    const NAME: &'static str = "loyalty_balances";
    const FORMAT: u16 = 1;
    const FOLDS: AggregateType = AggregateType::LoyaltyBalance;

    fn apply(&mut self, applicable: &Applicable<'_>) -> Result<(), NotApplicable> {
        if let Some(event) = LoyaltyBalanceEvent::from_event(applicable.event) {
            let key = (applicable.stream.tenant_id, CustomerId(applicable.stream.aggregate_id));
            let entry = Arc::make_mut(self.balances.entry(key).or_default());
            entry.balance.evolve(event, applicable.occurred_at);
            entry.version = applicable.version;
        }
        Ok(())
    }
}
