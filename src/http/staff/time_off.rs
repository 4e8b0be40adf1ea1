use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use codeccloud_actors::ids::StaffId;
use codeccloud_actors::time::{Slot, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::http::Door;
use crate::http::execute::{self, Call};
use crate::http::extractors::Body;
use crate::http::paging::Listing;
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports;

#[derive(Serialize, JsonSchema)]
pub struct TimeOff {
    pub id: Uuid,
    pub start: Timestamp,
    pub end: Timestamp,
}

#[derive(Deserialize, JsonSchema)]
pub struct NewTimeOff {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Validate for NewTimeOff {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.slot("end", self.start, self.end);
    }
}

pub async fn list_time_off(door: Data<Door>, session: Session, path: Path<StaffId>) -> Result<HttpResponse, Problem> {
    let entries = door.reference.time_off(session.tenant_id, *path).await?;
    let entries =
        entries.into_iter().map(|entry| TimeOff { id: entry.id, start: entry.slot.start, end: entry.slot.end });
    Ok(HttpResponse::Ok().json(Listing::whole(entries.collect())))
}

pub async fn add_time_off(
    door: Data<Door>,
    call: Call,
    path: Path<StaffId>,
    body: Body<NewTimeOff>,
) -> Result<HttpResponse, Problem> {
    let (session, key) = (&call.session, call.idempotency(body.request_hash)?);
    let NewTimeOff { start, end } = body.value;
    let new = ports::NewTimeOff { staff_id: *path, slot: Slot::new(start, end).expect("validated") };
    let added = door.reference.add_time_off(session.tenant_id, session.caller, new, Some(key));
    let (id, replayed) = added.await?;
    let mut response = HttpResponse::Created();
    execute::mark_replay(&mut response, replayed);
    Ok(response.json(TimeOff { id, start, end }))
}

pub async fn remove_time_off(
    door: Data<Door>,
    session: Session,
    path: Path<(StaffId, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (staff_id, id) = path.into_inner();
    door.reference.remove_time_off(session.tenant_id, session.caller, staff_id, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
