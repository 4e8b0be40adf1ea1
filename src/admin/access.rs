//! Who may look: managers, owners and operators, by a token in a cookie (browsers) or in a header (programs).

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header;
use codeccloud_actors::envelope::{Caller, Role};
use codeccloud_actors::reference::{MemberRole, TenantReference};

use super::Admin;
use crate::ports::{Identity, Scope};

pub const COOKIE: &str = "codeccloud_admin";

/// Somebody who may look, at the salon as it is now.
pub struct Visitor {
    pub scope: Scope,
    pub reference: Arc<TenantReference>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Without a token that is valid now.
    SignedOut,
    Forbidden,
}

impl Admin {
    /// Asked anew for each look: tokens expire, and members leave.
    pub fn visitor(&self, token: &str) -> Result<Visitor, Refusal> {
        let identity = self.ports.authenticator.authenticate(token).map_err(|_| Refusal::SignedOut)?;
        let reference = self.ports.reference.tenant(identity.tenant_id).ok_or(Refusal::Forbidden)?;
        if !may_look(identity, &reference) {
            return Err(Refusal::Forbidden);
        }
        let caller = Caller { user_id: identity.user_id, role: identity.role };
        Ok(Visitor { scope: Scope { tenant_id: identity.tenant_id, caller }, reference })
    }
}

/// Both the token's role and the membership have to suffice: a token outlives a demotion.
fn may_look(identity: Identity, reference: &TenantReference) -> bool {
    match identity.role {
        Role::Operator => true,
        Role::Owner | Role::Manager => {
            reference.members.get(&identity.user_id).is_some_and(|member| member.role >= MemberRole::Manager)
        }
        Role::Staff | Role::Customer | Role::Service => false,
    }
}

pub fn token(request: &HttpRequest) -> Option<String> {
    bearer(request).or_else(|| request.cookie(COOKIE).map(|cookie| cookie.value().to_owned()))
}

fn bearer(request: &HttpRequest) -> Option<String> {
    let (scheme, token) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
