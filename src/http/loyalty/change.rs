use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use bytes::Bytes;
use codeccloud_actors::aggregates::loyalty_balance::LoyaltyCommand;
use codeccloud_actors::answer::{Answer, StateView, Verdict};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{CustomerId, EventId};
use codeccloud_actors::ports::Clock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::Door;
use crate::http::execute::{self, Call};
use crate::http::extractors::Body;
use crate::http::problem::Problem;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::{Personal, Rendering};

/// Far beyond any salon's bonus, far below what a balance can hold.
const POINTS_MAX: i32 = 1_000_000;

#[derive(Deserialize, JsonSchema)]
pub struct RedeemPoints {
    /// 1 to 1000000.
    #[schemars(range(min = 1, max = POINTS_MAX))]
    pub points: i32,
}

#[derive(Deserialize, JsonSchema)]
pub struct AdjustPoints {
    /// Up or down, not 0; at most 1000000 either way.
    #[schemars(range(min = -POINTS_MAX, max = POINTS_MAX))]
    pub points: i32,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PointsChanged {
    pub customer_id: CustomerId,
    /// What is left.
    pub balance: u32,
    /// Opaque; known once the change is committed.
    pub outbox_event_id: EventId,
}

impl Validate for RedeemPoints {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.within("points", self.points, 1..=POINTS_MAX);
    }
}

impl Validate for AdjustPoints {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.within("points", self.points, -POINTS_MAX..=POINTS_MAX);
        errors.require(self.points != 0, "points", "must not be 0");
    }
}

pub async fn redeem(
    door: Data<Door>,
    call: Call,
    path: Path<CustomerId>,
    body: Body<RedeemPoints>,
) -> Result<HttpResponse, Problem> {
    let points = body.value.points.unsigned_abs();
    let command = LoyaltyCommand::Redeem { redemption_id: door.ids.uuid(), points };
    change(&door, call, body.request_hash, *path, command).await
}

pub async fn adjust(
    door: Data<Door>,
    call: Call,
    path: Path<CustomerId>,
    body: Body<AdjustPoints>,
) -> Result<HttpResponse, Problem> {
    let command = LoyaltyCommand::Adjust { adjustment_id: door.ids.uuid(), points: body.value.points };
    change(&door, call, body.request_hash, *path, command).await
}

/// Of a customer whom the salon knows: an account of nobody's could never be erased.
async fn change(
    door: &Door,
    call: Call,
    request_hash: [u8; 32],
    id: CustomerId,
    command: LoyaltyCommand,
) -> Result<HttpResponse, Problem> {
    door.customers.current(call.session.tenant_id, id).await?;
    let command = Command::LoyaltyBalance(id, command);
    let answer = changed(id, door.clock.clone());
    let answered = call.execute(door, request_hash, command, Personal::default(), answer).await?;
    Ok(execute::respond(answered))
}

fn changed(
    customer_id: CustomerId,
    clock: Arc<dyn Clock>,
) -> impl Fn(&Rendering<'_>) -> Answer + Send + Sync + 'static {
    move |rendering| {
        let Verdict::Accepted { state: StateView::LoyaltyBalance(state), version, event_id, .. } = rendering.verdict
        else {
            unreachable!("a loyalty command is accepted by the balance");
        };
        let balance = state.balance_at(clock.now());
        let changed = PointsChanged { customer_id, balance, outbox_event_id: *event_id };
        let body = Bytes::from(serde_json::to_vec(&changed).expect("plain numbers and ids"));
        Answer { status: 200, body, version: Some(*version) }
    }
}
