//! Who may pass: token, workspace, revocation, membership, role, in this order.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::reference::TenantReference;

use super::Door;
use super::problem::{Problem, Slug};
use super::route::Access;
use super::session::Session;
use crate::ports::{Identity, InvalidToken};

pub static WORKSPACE: HeaderName = HeaderName::from_static("x-workspace-id");

pub async fn session(door: &Door, access: Access, request: &HttpRequest) -> Result<Session, Problem> {
    let identity =
        door.authenticator.authenticate(bearer_token(request)?).map_err(|error| unauthorized(&error.to_string()))?;
    let tenant_id = workspace(request, identity)?;
    let reference = reference(door, identity).await.ok_or_else(|| forbidden("no such workspace"))?;
    if identity.is_revoked_in(&reference) {
        return Err(unauthorized(&InvalidToken.to_string()));
    }
    let role = identity.role_in(&reference).ok_or_else(|| forbidden("not a member of this workspace"))?;
    if !access.allows(role) {
        return Err(forbidden(&format!("the role {} may not do this", role.as_str())));
    }
    Ok(Session { tenant_id, caller: Caller { user_id: identity.user_id, role }, reference })
}

/// Of what the token claims, memory may not know yet: then, and only then, it is brought up to date.
async fn reference(door: &Door, identity: Identity) -> Option<Arc<TenantReference>> {
    let known = door.reference.tenant(identity.tenant_id);
    let bears_out = |reference: &Arc<TenantReference>| {
        identity.role_in(reference) == Some(identity.role) || identity.is_revoked_in(reference)
    };
    if known.as_ref().is_some_and(bears_out) {
        return known;
    }
    door.reference.look_again(identity.tenant_id, identity.user_id).await;
    door.reference.tenant(identity.tenant_id)
}

fn bearer_token(request: &HttpRequest) -> Result<&str, Problem> {
    let header =
        request.headers().get(header::AUTHORIZATION).ok_or_else(|| unauthorized("a bearer token is required"))?;
    let scheme_and_token = header.to_str().ok().and_then(|text| text.split_once(' '));
    match scheme_and_token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        Some(_) | None => Err(unauthorized("the Authorization header must hold a bearer token")),
    }
}

fn workspace(request: &HttpRequest, identity: Identity) -> Result<TenantId, Problem> {
    let header = request.headers().get(&WORKSPACE).ok_or_else(|| unauthorized("X-Workspace-ID is required"))?;
    let named: Option<TenantId> = header.to_str().ok().and_then(|text| text.parse().ok());
    if named == Some(identity.tenant_id) {
        Ok(identity.tenant_id)
    } else {
        Err(forbidden("the token is for another workspace"))
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(Slug::Unauthorized, detail).with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

pub fn forbidden(detail: &str) -> Problem {
    Problem::new(Slug::Forbidden, detail)
}
