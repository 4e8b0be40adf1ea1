use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::http::paging::Listing;
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::{Door, etag};
use crate::ports::WebhookView;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    pub id: Uuid,
    pub url: String,
    /// Such as `booking.scheduled`; empty is all.
    pub event_types: Vec<String>,
    pub active: bool,
    /// Why it is off, when the server itself has switched it off.
    pub off_reason: Option<String>,
    /// Until then calls are signed with the previous secret as well.
    pub previous_secret_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The only answers that show a secret.
#[derive(Serialize, JsonSchema)]
pub struct WebhookSecret {
    pub webhook: Webhook,
    /// What calls are signed with, by the Standard Webhooks specification.
    pub secret: String,
}

impl From<WebhookView> for Webhook {
    fn from(view: WebhookView) -> Webhook {
        Webhook {
            id: view.id,
            url: view.url,
            event_types: view.event_types,
            active: view.active,
            off_reason: view.off_reason,
            previous_secret_until: view.previous_secret_until,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }
}

pub async fn list(door: Data<Door>, session: Session) -> Result<HttpResponse, Problem> {
    let views = door.webhooks.list(session.tenant_id, session.caller).await?;
    Ok(HttpResponse::Ok().json(Listing::whole(views.into_iter().map(Webhook::from).collect())))
}

pub async fn get(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let view = door.webhooks.get(session.tenant_id, session.caller, *path).await?;
    Ok(etag::respond(&request, etag::of(view.version), &Webhook::from(view)))
}
