use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::webhook::{Webhook, WebhookSecret};
use crate::http::execute::{self, Call};
use crate::http::extractors::{Body, EmptyBody};
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::http::{Door, etag};
use crate::ports::{NewWebhook, WebhookChange, WebhookView};

const URL_LENGTH_MAX: usize = 2_000;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateWebhook {
    /// An HTTPS URL; redirects are not followed.
    pub url: String,
    /// Such as `booking.scheduled`; empty or absent is all.
    #[serde(default)]
    pub event_types: Vec<String>,
}

/// What is absent stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeWebhook {
    pub url: Option<String>,
    pub event_types: Option<Vec<String>>,
    pub active: Option<bool>,
}

impl Validate for CreateWebhook {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.length("url", &self.url, URL_LENGTH_MAX);
    }
}

impl Validate for ChangeWebhook {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.length("url", self.url.as_deref().unwrap_or_default(), URL_LENGTH_MAX);
    }
}

pub async fn create(door: Data<Door>, call: Call, body: Body<CreateWebhook>) -> Result<HttpResponse, Problem> {
    let (session, key) = (&call.session, call.idempotency(body.request_hash)?);
    let new = NewWebhook { url: body.value.url, event_types: body.value.event_types };
    let (view, secret, replayed) = door.webhooks.create(session.tenant_id, session.caller, new, key).await?;
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/v1/webhooks/{}", view.id)));
    Ok(with_secret(response, view, secret, replayed))
}

pub async fn change(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<Uuid>,
    body: Body<ChangeWebhook>,
) -> Result<HttpResponse, Problem> {
    let seen = etag::if_match(&request)?;
    let ChangeWebhook { url, event_types, active } = body.value;
    let change = WebhookChange { url, event_types, active };
    let view = door.webhooks.change(session.tenant_id, session.caller, *path, change, seen).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of(view.version))).json(Webhook::from(view)))
}

pub async fn delete(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let seen = etag::if_match(&request)?;
    door.webhooks.delete(session.tenant_id, session.caller, *path, seen).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub async fn rotate_secret(
    door: Data<Door>,
    call: Call,
    path: Path<Uuid>,
    body: EmptyBody,
) -> Result<HttpResponse, Problem> {
    let (session, key) = (&call.session, call.idempotency(body.request_hash)?);
    let rotated = door.webhooks.rotate_secret(session.tenant_id, session.caller, *path, key);
    let (view, secret, replayed) = rotated.await?;
    Ok(with_secret(HttpResponse::Ok(), view, secret, replayed))
}

fn with_secret(mut response: HttpResponseBuilder, view: WebhookView, secret: String, replayed: bool) -> HttpResponse {
    execute::mark_replay(&mut response, replayed);
    response.insert_header((header::ETAG, etag::of(view.version)));
    response.json(WebhookSecret { webhook: Webhook::from(view), secret })
}
