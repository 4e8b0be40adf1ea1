use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::ServiceId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::service::Service;
use crate::http::etag;
use crate::http::extractors::Query;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceQuery {
    /// Also those that can't be booked any more; absent: false.
    #[serde(default)]
    pub include_inactive: bool,
    /// 1 to 200; absent: 50.
    #[schemars(range(min = 1, max = paging::LIMIT_MAX))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

impl Validate for ServiceQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        paging::check_limit(errors, self.limit);
    }
}

pub async fn list(
    session: Session,
    request: HttpRequest,
    Query(query): Query<ServiceQuery>,
) -> Result<HttpResponse, Problem> {
    let services = session.reference.services.values().filter(|service| service.active || query.include_inactive);
    let named = services.map(|service| (service.name.as_str(), service.id.0, service)).collect();
    let page = paging::by_name(named, query.cursor.as_deref(), paging::limit(query.limit))?;
    Ok(paging::bare(&request, page.map(Service::from)))
}

pub async fn get(session: Session, request: HttpRequest, path: Path<ServiceId>) -> Result<HttpResponse, Problem> {
    let service = Service::find(&session.reference, *path).ok_or_else(|| Problem::not_found("service"))?;
    Ok(etag::respond(&request, etag::of_content(&service), &service))
}
