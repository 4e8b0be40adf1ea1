use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::{StaffId, UserId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::staff_member::StaffMember;
use crate::http::execute::{self, Call};
use crate::http::extractors::{Body, Query};
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::http::{Door, etag};
use crate::ports::{NewStaff, StaffChange};

pub const NAME_LENGTH_MAX: usize = 120;
const COLOR_DEFAULT: &str = "#7c8794";

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaffQuery {
    /// Also those who left; absent: false.
    #[serde(default)]
    pub include_inactive: bool,
    /// 1 to 200; absent: 50.
    #[schemars(range(min = 1, max = paging::LIMIT_MAX))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateStaff {
    #[schemars(length(min = 1, max = NAME_LENGTH_MAX))]
    pub display_name: String,
    /// Like `#7c8794`.
    #[schemars(regex(pattern = "^#[0-9A-Fa-f]{6}$"))]
    pub color: Option<String>,
    /// Who logs in as this person.
    pub user_id: Option<UserId>,
}

/// What is absent stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeStaff {
    #[schemars(length(min = 1, max = NAME_LENGTH_MAX))]
    pub display_name: Option<String>,
    /// Like `#7c8794`.
    #[schemars(regex(pattern = "^#[0-9A-Fa-f]{6}$"))]
    pub color: Option<String>,
    pub active: Option<bool>,
}

impl Validate for StaffQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        paging::check_limit(errors, self.limit);
    }
}

impl Validate for CreateStaff {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.name("displayName", &self.display_name, NAME_LENGTH_MAX);
        check_color(errors, self.color.as_deref());
    }
}

impl Validate for ChangeStaff {
    fn validate(&self, errors: &mut FieldErrors) {
        if let Some(name) = &self.display_name {
            errors.name("displayName", name, NAME_LENGTH_MAX);
        }
        check_color(errors, self.color.as_deref());
    }
}

/// Colours go into style sheets of live pages: nothing but a colour may come through.
fn check_color(errors: &mut FieldErrors, color: Option<&str>) {
    let digits = color.map(|color| color.strip_prefix('#').unwrap_or_default());
    let shaped = digits.is_none_or(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    errors.require(shaped, "color", "must be a colour such as #7c8794");
}

pub async fn list(
    session: Session,
    request: HttpRequest,
    Query(query): Query<StaffQuery>,
) -> Result<HttpResponse, Problem> {
    let staff = session.reference.staff.values().filter(|member| member.active || query.include_inactive);
    let named = staff.map(|member| (member.display_name.as_str(), member.id.0, member)).collect();
    let page = paging::by_name(named, query.cursor.as_deref(), paging::limit(query.limit))?;
    Ok(paging::bare(&request, page.map(StaffMember::from)))
}

pub async fn get(session: Session, request: HttpRequest, path: Path<StaffId>) -> Result<HttpResponse, Problem> {
    let member = StaffMember::find(&session.reference, *path).ok_or_else(|| Problem::not_found("staff member"))?;
    Ok(etag::respond(&request, etag::of_content(&member), &member))
}

pub async fn create(door: Data<Door>, call: Call, body: Body<CreateStaff>) -> Result<HttpResponse, Problem> {
    let (session, key) = (&call.session, call.idempotency(body.request_hash)?);
    let CreateStaff { display_name, color, user_id } = body.value;
    let color = color.unwrap_or_else(|| COLOR_DEFAULT.to_owned());
    let new = NewStaff { display_name: display_name.clone(), color: color.clone(), user_id };
    let created = door.reference.create_staff(session.tenant_id, session.caller, new, Some(key));
    let (id, replayed) = created.await?;
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/v1/staff/{id}")));
    execute::mark_replay(&mut response, replayed);
    Ok(response.json(StaffMember { id, user_id, display_name, color, active: true }))
}

pub async fn change(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<StaffId>,
    body: Body<ChangeStaff>,
) -> Result<HttpResponse, Problem> {
    let id = *path;
    let ChangeStaff { display_name, color, active } = body.value;
    let change = StaffChange { display_name, color, active };
    let unless_changed = etag::if_match_content(&request, move |reference| StaffMember::find(reference, id));
    door.reference.change_staff(session.tenant_id, session.caller, id, change, unless_changed).await?;
    let reference = door.reference.tenant(session.tenant_id);
    let member = reference.and_then(|reference| StaffMember::find(&reference, id));
    let member = member.ok_or_else(|| Problem::not_found("staff member"))?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of_content(&member))).json(member))
}
