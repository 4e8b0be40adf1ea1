use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::StaffId;
use codeccloud_actors::reference::{StaffAvailability, TenantReference};
use jiff::civil::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::interval::{Interval, LocalTime};
use crate::http::extractors::Body;
use crate::http::problem::Problem;
use crate::http::route::calendar_day;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::http::{Door, etag};
use crate::ports::{self, HoursException};

/// More than anyone's week needs, few enough to stay readable for people.
const INTERVALS_MAX: usize = 70;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkingHours {
    /// Null: no hours on record, always available. It must be there: whoever mistypes its name deletes no week.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(schema_with = "week_or_null")]
    pub weekly: Option<Vec<WeekdayHours>>,
    /// Days with hours of their own. Set one by one; ignored when the weekly hours are put.
    #[serde(default)]
    pub exceptions: Vec<DayHours>,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct WeekdayHours {
    /// 1 is Monday, 7 is Sunday.
    #[schemars(range(min = 1, max = 7))]
    pub weekday: u8,
    pub start: LocalTime,
    pub end: LocalTime,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct DayHours {
    #[schemars(schema_with = "calendar_day")]
    pub date: Date,
    /// Empty: a day off.
    pub intervals: Vec<Interval>,
}

#[derive(Deserialize, JsonSchema)]
pub struct ExceptionHours {
    /// Empty: a day off.
    pub intervals: Vec<Interval>,
}

impl Validate for WorkingHours {
    fn validate(&self, errors: &mut FieldErrors) {
        let weekly = self.weekly.as_deref().unwrap_or_default();
        errors.require(weekly.len() <= INTERVALS_MAX, "weekly", format!("may have {INTERVALS_MAX} entries"));
        let mut days: BTreeMap<u8, Vec<Interval>> = BTreeMap::new();
        for hours in weekly {
            errors.within("weekly.weekday", hours.weekday, 1..=7);
            let WeekdayHours { weekday, start, end } = *hours;
            days.entry(weekday).or_default().push(Interval { start, end });
        }
        for day in days.into_values() {
            Interval::check_day(errors, "weekly", day);
        }
    }
}

impl Validate for ExceptionHours {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.require(self.intervals.len() <= INTERVALS_MAX, "intervals", format!("may have {INTERVALS_MAX} entries"));
        Interval::check_day(errors, "intervals", self.intervals.clone());
    }
}

pub async fn get_hours(session: Session, request: HttpRequest, path: Path<StaffId>) -> Result<HttpResponse, Problem> {
    let hours = WorkingHours::find(&session.reference, *path).ok_or_else(|| Problem::not_found("staff member"))?;
    Ok(etag::respond(&request, etag::of_content(&hours), &hours))
}

pub async fn put_hours(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<StaffId>,
    body: Body<WorkingHours>,
) -> Result<HttpResponse, Problem> {
    let id = *path;
    let hours = body.value.weekly.map(|weekly| weekly.into_iter().map(ports::WorkingHours::from).collect());
    let unless_changed = etag::if_match_content(&request, move |reference| WorkingHours::find(reference, id));
    door.reference.set_working_hours(session.tenant_id, session.caller, id, hours, unless_changed).await?;
    let hours = current(&door, &session, id)?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of_content(&hours))).json(hours))
}

pub async fn put_exception(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<(StaffId, Date)>,
    body: Body<ExceptionHours>,
) -> Result<HttpResponse, Problem> {
    let (id, date) = path.into_inner();
    let intervals = body.value.intervals.iter().map(|interval| (interval.start.0, interval.end.0)).collect();
    let hours =
        set_exception(&door, &session, &request, id, HoursException { date, intervals: Some(intervals) }).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of_content(&hours))).json(hours))
}

pub async fn clear_exception(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<(StaffId, Date)>,
) -> Result<HttpResponse, Problem> {
    let (id, date) = path.into_inner();
    let hours = set_exception(&door, &session, &request, id, HoursException { date, intervals: None }).await?;
    Ok(HttpResponse::NoContent().insert_header((header::ETAG, etag::of_content(&hours))).finish())
}

/// `If-Match` names the hours as a whole: a day's own are a part of them.
async fn set_exception(
    door: &Door,
    session: &Session,
    request: &HttpRequest,
    id: StaffId,
    exception: HoursException,
) -> Result<WorkingHours, Problem> {
    let unless_changed = etag::if_match_content(request, move |reference| WorkingHours::find(reference, id));
    door.reference.set_hours_exception(session.tenant_id, session.caller, id, exception, unless_changed).await?;
    current(door, session, id)
}

fn current(door: &Door, session: &Session, id: StaffId) -> Result<WorkingHours, Problem> {
    let reference = door.reference.tenant(session.tenant_id);
    let hours = reference.and_then(|reference| WorkingHours::find(&reference, id));
    hours.ok_or_else(|| Problem::not_found("staff member"))
}

impl WorkingHours {
    fn find(reference: &TenantReference, id: StaffId) -> Option<WorkingHours> {
        reference.staff.get(&id).map(|member| WorkingHours::from(&member.availability))
    }
}

impl From<&StaffAvailability> for WorkingHours {
    fn from(availability: &StaffAvailability) -> WorkingHours {
        let weekly = availability.weekly.as_ref().map(|days| {
            let numbered = (1..=7).zip(days);
            numbered
                .flat_map(|(weekday, day)| day.iter().map(move |&interval| (weekday, Interval::from(interval))))
                .map(|(weekday, Interval { start, end })| WeekdayHours { weekday, start, end })
                .collect()
        });
        let exceptions = availability.exceptions.iter().map(|(&date, intervals)| DayHours {
            date,
            intervals: intervals.iter().map(|&interval| interval.into()).collect(),
        });
        WorkingHours { weekly, exceptions: exceptions.collect() }
    }
}

impl From<WeekdayHours> for ports::WorkingHours {
    fn from(hours: WeekdayHours) -> ports::WorkingHours {
        let WeekdayHours { weekday, start, end } = hours;
        ports::WorkingHours { weekday, start_minute: start.0, end_minute: end.0 }
    }
}

/// Of an `Option`, the document would say that it may be absent.
fn week_or_null(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Option<Vec<WeekdayHours>>>()
}
