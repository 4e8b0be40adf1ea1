use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::{ServiceId, StaffId};
use codeccloud_actors::money::Money;
use schemars::JsonSchema;
use serde::Deserialize;

use super::service::Service;
use crate::http::execute::{self, Call};
use crate::http::extractors::{Body, explicit_null};
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::http::{Door, etag};
use crate::ports::{NewService, ServiceChange};

const NAME_LENGTH_MAX: usize = 120;
/// Bookings are no longer than this either.
const MINUTES_MAX: u32 = 24 * 60;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateService {
    #[schemars(length(min = 1, max = NAME_LENGTH_MAX))]
    pub name: String,
    /// 1 to 1440.
    #[schemars(range(min = 1, max = MINUTES_MAX))]
    pub duration_minutes: u32,
    pub price: Money,
    #[serde(default)]
    #[schemars(range(max = MINUTES_MAX))]
    pub buffer_before_minutes: u32,
    #[serde(default)]
    #[schemars(range(max = MINUTES_MAX))]
    pub buffer_after_minutes: u32,
    /// Who performs it; null or absent is everyone.
    pub staff_ids: Option<Vec<StaffId>>,
}

/// What is absent stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeService {
    #[schemars(length(min = 1, max = NAME_LENGTH_MAX))]
    pub name: Option<String>,
    /// 1 to 1440.
    #[schemars(range(min = 1, max = MINUTES_MAX))]
    pub duration_minutes: Option<u32>,
    pub price: Option<Money>,
    #[schemars(range(max = MINUTES_MAX))]
    pub buffer_before_minutes: Option<u32>,
    #[schemars(range(max = MINUTES_MAX))]
    pub buffer_after_minutes: Option<u32>,
    pub active: Option<bool>,
    /// Who performs it; null is everyone.
    #[serde(default, deserialize_with = "explicit_null")]
    #[schemars(with = "Option<Vec<StaffId>>")]
    pub staff_ids: Option<Option<Vec<StaffId>>>,
}

impl Validate for CreateService {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.name("name", &self.name, NAME_LENGTH_MAX);
        errors.within("durationMinutes", self.duration_minutes, 1..=MINUTES_MAX);
        errors.price("price", self.price);
        errors.within("bufferBeforeMinutes", self.buffer_before_minutes, 0..=MINUTES_MAX);
        errors.within("bufferAfterMinutes", self.buffer_after_minutes, 0..=MINUTES_MAX);
    }
}

impl Validate for ChangeService {
    fn validate(&self, errors: &mut FieldErrors) {
        if let Some(name) = &self.name {
            errors.name("name", name, NAME_LENGTH_MAX);
        }
        if let Some(price) = self.price {
            errors.price("price", price);
        }
        errors.within("durationMinutes", self.duration_minutes.unwrap_or(1), 1..=MINUTES_MAX);
        errors.within("bufferBeforeMinutes", self.buffer_before_minutes.unwrap_or(0), 0..=MINUTES_MAX);
        errors.within("bufferAfterMinutes", self.buffer_after_minutes.unwrap_or(0), 0..=MINUTES_MAX);
    }
}

pub async fn create(door: Data<Door>, call: Call, body: Body<CreateService>) -> Result<HttpResponse, Problem> {
    let (session, key) = (&call.session, call.idempotency(body.request_hash)?);
    let new = NewService {
        name: body.value.name,
        duration_minutes: body.value.duration_minutes,
        price: body.value.price,
        buffer_before_minutes: body.value.buffer_before_minutes,
        buffer_after_minutes: body.value.buffer_after_minutes,
        staff_ids: body.value.staff_ids,
    };
    let created = door.reference.create_service(session.tenant_id, session.caller, new.clone(), Some(key));
    let (id, replayed) = created.await?;
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/v1/services/{id}")));
    execute::mark_replay(&mut response, replayed);
    Ok(response.json(Service::created(id, new)))
}

pub async fn change(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<ServiceId>,
    body: Body<ChangeService>,
) -> Result<HttpResponse, Problem> {
    let id = *path;
    let change = ServiceChange {
        name: body.value.name,
        duration_minutes: body.value.duration_minutes,
        price: body.value.price,
        buffer_before_minutes: body.value.buffer_before_minutes,
        buffer_after_minutes: body.value.buffer_after_minutes,
        active: body.value.active,
        staff_ids: body.value.staff_ids,
    };
    let unless_changed = etag::if_match_content(&request, move |reference| Service::find(reference, id));
    door.reference.change_service(session.tenant_id, session.caller, id, change, unless_changed).await?;
    let reference = door.reference.tenant(session.tenant_id);
    let service = reference.and_then(|reference| Service::find(&reference, id));
    let service = service.ok_or_else(|| Problem::not_found("service"))?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of_content(&service))).json(service))
}
