use codeccloud_actors::ids::TenantId;
use codeccloud_actors::rows::StockMovementRow;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Parameter, int};
use crate::postgres::types::{JsonText, PgTime};

pub(super) const ARGUMENTS: usize = 12;

/// The last of the arguments: movements of stock, with what they leave of their items.
#[derive(Default)]
pub(super) struct MovementColumns<'a> {
    tenant: Vec<Uuid>,
    product: Vec<Uuid>,
    version: Vec<i32>,
    id: Vec<Uuid>,
    quantity: Vec<i32>,
    reserved: Vec<i32>,
    reason: Vec<&'static str>,
    context: Vec<JsonText<'a>>,
    actor: Vec<Option<Uuid>>,
    created: Vec<PgTime>,
    state: Vec<Option<JsonText<'a>>>,
    metadata: Vec<i32>,
}

impl<'a> MovementColumns<'a> {
    pub fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    pub fn add(&mut self, tenant_id: TenantId, movement: &'a StockMovementRow, metadata: i32) {
        if movement.item.is_some() {
            // An item is written once a batch, as the last movement leaves it.
            for (nth, product) in self.product.iter().enumerate() {
                if *product == movement.product_id.0 && self.tenant[nth] == tenant_id.0 {
                    self.state[nth] = None;
                }
            }
        }
        self.tenant.push(tenant_id.0);
        self.product.push(movement.product_id.0);
        self.version.push(int(movement.version.0));
        self.id.push(movement.event_id.0);
        self.quantity.push(delta(movement.quantity_delta));
        self.reserved.push(delta(movement.reserved_delta));
        self.reason.push(movement.reason);
        self.context.push(JsonText(movement.context.as_bytes()));
        self.actor.push(movement.created_by.map(|id| id.0));
        self.created.push(PgTime(movement.occurred_at));
        self.state.push(movement.item.as_ref().map(|state| JsonText(state.as_bytes())));
        self.metadata.push(metadata);
    }

    #[rustfmt::skip]
    pub fn params(&self) -> [Parameter<'_>; ARGUMENTS] {
        [
            (&self.tenant, Type::UUID_ARRAY), (&self.product, Type::UUID_ARRAY), (&self.version, Type::INT4_ARRAY),
            (&self.id, Type::UUID_ARRAY), (&self.quantity, Type::INT4_ARRAY), (&self.reserved, Type::INT4_ARRAY),
            (&self.reason, Type::TEXT_ARRAY), (&self.context, Type::JSONB_ARRAY), (&self.actor, Type::UUID_ARRAY),
            (&self.created, Type::TIMESTAMPTZ_ARRAY), (&self.state, Type::JSONB_ARRAY),
            (&self.metadata, Type::INT4_ARRAY),
        ]
    }
}

/// An item holds no more than its columns, so no movement is larger.
fn delta(quantity: i64) -> i32 {
    i32::try_from(quantity).unwrap_or(if quantity < 0 { i32::MIN } else { i32::MAX })
}
