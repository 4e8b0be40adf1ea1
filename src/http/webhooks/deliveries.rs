use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use codeccloud_actors::ids::BookingId;
use codeccloud_actors::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::http::Door;
use crate::http::execute::{self, Call};
use crate::http::extractors::{EmptyBody, Query};
use crate::http::paging::{self, Listing};
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::WebhookDeliveryView;

/// A call of an endpoint, with all its attempts.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    /// Its `webhook-id` is `msg_` and this id without dashes, the same for each attempt.
    pub id: Uuid,
    pub event_type: String,
    pub booking_id: BookingId,
    /// waiting, done, skipped, dead or discarded.
    pub state: String,
    pub attempts: u32,
    pub next_attempt_at: Option<Timestamp>,
    /// Of the last attempt that was answered.
    pub response_status: Option<u16>,
    pub reason: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryQuery {
    /// 1 to 200; absent: 50.
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

impl Validate for DeliveryQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        paging::check_limit(errors, self.limit);
    }
}

impl From<WebhookDeliveryView> for WebhookDelivery {
    fn from(view: WebhookDeliveryView) -> WebhookDelivery {
        WebhookDelivery {
            id: view.id,
            event_type: view.event_type,
            booking_id: view.booking_id,
            state: view.state,
            attempts: view.attempts,
            next_attempt_at: view.next_attempt_at,
            response_status: view.response_status,
            reason: view.reason,
            created_at: view.created_at,
            finished_at: view.finished_at,
        }
    }
}

pub async fn list_deliveries(
    door: Data<Door>,
    session: Session,
    path: Path<Uuid>,
    Query(query): Query<DeliveryQuery>,
) -> Result<HttpResponse, Problem> {
    let before = query.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| paging::unreadable_cursor()));
    let (before, limit) = (before.transpose()?, paging::limit(query.limit));
    let page = door.webhooks.deliveries(session.tenant_id, session.caller, *path, before, limit).await?;
    let next_cursor = page.items.last().filter(|_| page.more).map(|last| last.number.to_string());
    let data = page.items.into_iter().map(WebhookDelivery::from).collect();
    Ok(HttpResponse::Ok().json(Listing { data, next_cursor }))
}

pub async fn replay(
    door: Data<Door>,
    call: Call,
    path: Path<(Uuid, Uuid)>,
    body: EmptyBody,
) -> Result<HttpResponse, Problem> {
    let (session, key) = (&call.session, call.idempotency(body.request_hash)?);
    let (id, delivery_id) = path.into_inner();
    let replayed = door.webhooks.replay(session.tenant_id, session.caller, id, delivery_id, key);
    let (view, replayed) = replayed.await?;
    let mut response = HttpResponse::Ok();
    execute::mark_replay(&mut response, replayed);
    Ok(response.json(WebhookDelivery::from(view)))
}
