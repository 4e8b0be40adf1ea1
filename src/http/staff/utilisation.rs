use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use codeccloud_actors::ids::StaffId;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::Door;
use crate::http::extractors::Query;
use crate::http::figures::Period;
use crate::http::paging::Listing;
use crate::http::problem::Problem;
use crate::http::route::calendar_day;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports;

#[derive(Deserialize, JsonSchema)]
pub struct UtilisationQuery {
    /// At most 366 days back.
    #[schemars(schema_with = "calendar_day")]
    pub from: Date,
    /// Included; at most 366 days with `from`.
    #[schemars(schema_with = "calendar_day")]
    pub to: Date,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UtilisationDay {
    #[schemars(schema_with = "calendar_day")]
    pub date: Date,
    pub booked_minutes: u32,
    pub working_minutes: u32,
}

impl Validate for UtilisationQuery {
    /// What is asked for depends on the tenant's calendar, which only the handler knows.
    fn validate(&self, _: &mut FieldErrors) {}
}

/// Only days with something on them.
pub async fn utilisation(
    door: Data<Door>,
    session: Session,
    path: Path<StaffId>,
    Query(query): Query<UtilisationQuery>,
) -> Result<HttpResponse, Problem> {
    if !session.reference.staff.contains_key(&*path) {
        return Err(Problem::not_found("staff member"));
    }
    let today = door.clock.now().date_in(&session.reference.zone);
    let Period { from, to } = Period::of_days(Some(query.from), Some(query.to), today)?;
    let days = door.queries.staff_utilisation(session.scope(), Some(*path), from, to).await?;
    Ok(HttpResponse::Ok().json(Listing::whole(days.into_iter().map(UtilisationDay::from).collect())))
}

impl From<ports::UtilisationDay> for UtilisationDay {
    fn from(day: ports::UtilisationDay) -> UtilisationDay {
        UtilisationDay { date: day.date, booked_minutes: day.booked_minutes, working_minutes: day.working_minutes }
    }
}
