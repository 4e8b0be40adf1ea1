use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use bytes::Bytes;
use codeccloud_actors::aggregates::stock_item::{AdjustmentReason, StockCommand};
use codeccloud_actors::answer::{Answer, StateView, Verdict};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{EventId, ProductId};
use codeccloud_actors::ports::Clock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::QUANTITY_MAX;
use crate::http::Door;
use crate::http::execute::{self, Call};
use crate::http::extractors::Body;
use crate::http::problem::Problem;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::{Personal, Rendering};

#[derive(Deserialize, JsonSchema)]
pub struct ReceiveStock {
    /// 1 to 1000000.
    pub quantity: u32,
}

#[derive(Deserialize, JsonSchema)]
pub struct AdjustStock {
    /// Up or down, not 0; at most 1000000 either way.
    pub quantity: i32,
    pub reason: AdjustmentReason,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockChanged {
    pub product_id: ProductId,
    pub on_hand: i64,
    pub reserved: i64,
    pub available: i64,
    /// Opaque; known once the change is committed.
    pub outbox_event_id: EventId,
}

impl Validate for ReceiveStock {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.within("quantity", self.quantity, 1..=QUANTITY_MAX);
    }
}

impl Validate for AdjustStock {
    fn validate(&self, errors: &mut FieldErrors) {
        let fits = self.quantity.unsigned_abs() <= QUANTITY_MAX;
        errors.require(fits, "quantity", format!("must lie between -{QUANTITY_MAX} and {QUANTITY_MAX}"));
        errors.require(self.quantity != 0, "quantity", "must not be 0");
    }
}

pub async fn receive(
    door: Data<Door>,
    call: Call,
    path: Path<ProductId>,
    body: Body<ReceiveStock>,
) -> Result<HttpResponse, Problem> {
    let (movement_id, product_id, quantity) = (door.ids.uuid(), *path, body.value.quantity);
    change(&door, call, body.request_hash, StockCommand::Receive { movement_id, product_id, quantity }).await
}

pub async fn adjust(
    door: Data<Door>,
    call: Call,
    path: Path<ProductId>,
    body: Body<AdjustStock>,
) -> Result<HttpResponse, Problem> {
    let (movement_id, product_id, AdjustStock { quantity, reason }) = (door.ids.uuid(), *path, body.value);
    change(&door, call, body.request_hash, StockCommand::Adjust { movement_id, product_id, quantity, reason }).await
}

async fn change(
    door: &Door,
    call: Call,
    request_hash: [u8; 32],
    command: StockCommand,
) -> Result<HttpResponse, Problem> {
    let answer = changed(command.product_id(), door.clock.clone());
    let answered = call.execute(door, request_hash, Command::StockItem(command), Personal::default(), answer).await?;
    Ok(execute::respond(answered))
}

fn changed(product_id: ProductId, clock: Arc<dyn Clock>) -> impl Fn(&Rendering<'_>) -> Answer + Send + Sync + 'static {
    move |rendering| {
        let Verdict::Accepted { state: StateView::StockItem(state), version, event_id, .. } = rendering.verdict else {
            unreachable!("a stock command is accepted by the stock item");
        };
        let now = clock.now();
        let changed = StockChanged {
            product_id,
            on_hand: state.on_hand(),
            reserved: state.reserved_at(now),
            available: state.available_at(now),
            outbox_event_id: *event_id,
        };
        let body = Bytes::from(serde_json::to_vec(&changed).expect("plain numbers and ids"));
        Answer { status: 200, body, version: Some(*version) }
    }
}
