use actix_web::HttpResponse;
use actix_web::web::Data;
use bytes::Bytes;
use codeccloud_actors::aggregates::stock_item::{Lines, StockCommand};
use codeccloud_actors::answer::{Answer, Verdict};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{EventId, ProductId};
use codeccloud_actors::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::QUANTITY_MAX;
use crate::http::Door;
use crate::http::execute::{self, Call};
use crate::http::extractors::Body;
use crate::http::problem::Problem;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::Personal;

/// Each is an aggregate of its own in one append.
const LINES_MAX: usize = 100;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockLine {
    pub product_id: ProductId,
    /// 1 to 1000000.
    pub quantity: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReserveStock {
    /// 1 to 100. A product that is named twice is asked for the sum.
    pub lines: Vec<StockLine>,
    /// When the reservation ends by itself; at most 90 days ahead.
    pub expires_at: Timestamp,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStock {
    pub reservation_id: Uuid,
    /// Whose goods are given back, 1 to 100: as far as they are still reserved.
    pub product_ids: Vec<ProductId>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumeStock {
    /// Absent or null: what is taken was not reserved.
    pub reservation_id: Option<Uuid>,
    /// 1 to 100. A product that is named twice is asked for the sum.
    pub lines: Vec<StockLine>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockReserved {
    pub reservation_id: Uuid,
    pub expires_at: Timestamp,
    /// Opaque; known once the change is committed.
    pub outbox_event_id: EventId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockReleased {
    pub reservation_id: Uuid,
    /// Opaque; known once the change is committed.
    pub outbox_event_id: EventId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockConsumed {
    pub reservation_id: Option<Uuid>,
    /// Opaque; known once the change is committed.
    pub outbox_event_id: EventId,
}

impl Validate for ReserveStock {
    fn validate(&self, errors: &mut FieldErrors) {
        check_lines(&self.lines, errors);
    }
}

impl Validate for ReleaseStock {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.within("productIds", self.product_ids.len(), 1..=LINES_MAX);
    }
}

impl Validate for ConsumeStock {
    fn validate(&self, errors: &mut FieldErrors) {
        check_lines(&self.lines, errors);
    }
}

fn check_lines(lines: &[StockLine], errors: &mut FieldErrors) {
    errors.require((1..=LINES_MAX).contains(&lines.len()), "lines", format!("must be 1 to {LINES_MAX}"));
    for (index, line) in lines.iter().enumerate() {
        errors.within(&format!("lines[{index}].quantity"), line.quantity, 1..=QUANTITY_MAX);
    }
}

pub async fn reserve(door: Data<Door>, call: Call, body: Body<ReserveStock>) -> Result<HttpResponse, Problem> {
    let (reservation_id, expires_at) = (door.ids.uuid(), body.value.expires_at);
    let command = StockCommand::Reserve { reservation_id, lines: summed(&body.value.lines), expires_at };
    let answer = move |outbox_event_id| StockReserved { reservation_id, expires_at, outbox_event_id };
    execute(&door, call, body.request_hash, command, answer).await
}

pub async fn release(door: Data<Door>, call: Call, body: Body<ReleaseStock>) -> Result<HttpResponse, Problem> {
    let ReleaseStock { reservation_id, product_ids } = body.value;
    let lines = Lines::of(product_ids).expect("validated to name a product");
    let answer = move |outbox_event_id| StockReleased { reservation_id, outbox_event_id };
    execute(&door, call, body.request_hash, StockCommand::Release { reservation_id, lines }, answer).await
}

pub async fn consume(door: Data<Door>, call: Call, body: Body<ConsumeStock>) -> Result<HttpResponse, Problem> {
    let ConsumeStock { reservation_id, lines } = body.value;
    let command = StockCommand::Consume { movement_id: door.ids.uuid(), reservation_id, lines: summed(&lines) };
    let answer = move |outbox_event_id| StockConsumed { reservation_id, outbox_event_id };
    execute(&door, call, body.request_hash, command, answer).await
}

fn summed(lines: &[StockLine]) -> Lines<u32> {
    let lines = lines.iter().map(|line| (line.product_id, line.quantity));
    Lines::summed(lines).expect("validated to have a line")
}

/// The answer says nothing of the stock: several products' states are several resources.
async fn execute<T: Serialize>(
    door: &Door,
    call: Call,
    request_hash: [u8; 32],
    command: StockCommand,
    answer: impl Fn(EventId) -> T + Send + Sync + 'static,
) -> Result<HttpResponse, Problem> {
    let command = Command::StockItem(command);
    let rendered = move |rendering: &crate::ports::Rendering<'_>| {
        let Verdict::Accepted { event_id, .. } = rendering.verdict else {
            unreachable!("refusals are answered by the call");
        };
        let body = Bytes::from(serde_json::to_vec(&answer(*event_id)).expect("plain ids and times"));
        Answer { status: 200, body, version: None }
    };
    let answered = call.execute(door, request_hash, command, Personal::default(), rendered).await?;
    Ok(execute::respond(answered))
}
