//! Customers: what the vault knows of them.

use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::CustomerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extractors::{Body, explicit_null};
use super::problem::Problem;
use super::session::Session;
use super::validate::{FieldErrors, Validate};
use super::{Door, etag};
use crate::ports::CustomersError;
use crate::vault::CustomerProfile;

const NAME_LENGTH_MAX: usize = 100;
const PHONE_LENGTH_MAX: usize = 40;
/// Who changes a customer without saying which version they saw, means the latest.
const ATTEMPTS: usize = 3;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    pub id: CustomerId,
    pub email: String,
    pub phone: Option<String>,
    pub first_name: String,
    pub last_name: String,
}

/// What is absent stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeCustomer {
    pub email: Option<String>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "explicit_null")]
    #[schemars(with = "Option<String>")]
    pub phone: Option<Option<String>>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
}

impl Validate for ChangeCustomer {
    fn validate(&self, errors: &mut FieldErrors) {
        let phone = self.phone.as_ref().and_then(Option::as_deref);
        check_profile(errors, "", self.email.as_deref(), phone, self.first_name.as_deref(), self.last_name.as_deref());
    }
}

/// `parent` is the path before the fields' names, with its dot.
pub fn check_profile(
    errors: &mut FieldErrors,
    parent: &str,
    email: Option<&str>,
    phone: Option<&str>,
    first_name: Option<&str>,
    last_name: Option<&str>,
) {
    if let Some(email) = email {
        errors.email(&format!("{parent}email"), email);
    }
    errors.length(&format!("{parent}phone"), phone.unwrap_or_default(), PHONE_LENGTH_MAX);
    for (field, name) in [("firstName", first_name), ("lastName", last_name)] {
        if let Some(name) = name {
            errors.name(&format!("{parent}{field}"), name, NAME_LENGTH_MAX);
        }
    }
}

pub async fn get(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<CustomerId>,
) -> Result<HttpResponse, Problem> {
    session.may_see(*path)?;
    let (profile, version) = door.customers.current(session.tenant_id, *path).await?;
    Ok(etag::respond(&request, etag::of(version), &shown(*path, profile)))
}

pub async fn change(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<CustomerId>,
    body: Body<ChangeCustomer>,
) -> Result<HttpResponse, Problem> {
    session.may_see(*path)?;
    let seen = etag::if_match(&request)?;
    for _ in 0..ATTEMPTS {
        let (mut profile, version) = door.customers.current(session.tenant_id, *path).await?;
        body.value.apply_to(&mut profile);
        match door.customers.change(session.tenant_id, *path, &profile, seen.unwrap_or(version)).await {
            Ok(version) => {
                let tag = (header::ETAG, etag::of(version));
                return Ok(HttpResponse::Ok().insert_header(tag).json(shown(*path, profile)));
            }
            Err(CustomersError::Outdated) if seen.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable("others keep changing this customer; try again", 1))
}

impl ChangeCustomer {
    fn apply_to(&self, profile: &mut CustomerProfile) {
        let replace = |text: &mut String, with: &Option<String>| {
            if let Some(with) = with {
                text.clone_from(with);
            }
        };
        replace(&mut profile.email, &self.email);
        replace(&mut profile.first_name, &self.first_name);
        replace(&mut profile.last_name, &self.last_name);
        if let Some(phone) = &self.phone {
            profile.phone = phone.clone().filter(|phone| !phone.is_empty());
        }
    }
}

fn shown(id: CustomerId, profile: CustomerProfile) -> Customer {
    let CustomerProfile { email, phone, first_name, last_name } = profile;
    Customer { id, email, phone, first_name, last_name }
}
