//! Who may look: managers, owners and operators, by a token in a cookie that only these pages get.

use std::sync::Arc;

use actix_web::HttpRequest;
use codeccloud_actors::envelope::{Caller, Role};
use codeccloud_actors::reference::TenantReference;
use codeccloud_actors::time::Timestamp;

use super::Admin;
use crate::ports::Scope;

pub const COOKIE: &str = "codeccloud_admin";

/// Somebody who may look, at the salon as it is now.
pub struct Visitor {
    pub scope: Scope,
    pub reference: Arc<TenantReference>,
    pub expires_at: Timestamp,
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
        if identity.is_revoked_in(&reference) {
            return Err(Refusal::SignedOut);
        }
        let role = identity.role_in(&reference).filter(|role| may_look(*role)).ok_or(Refusal::Forbidden)?;
        let caller = Caller { user_id: identity.user_id, role };
        let scope = Scope { tenant_id: identity.tenant_id, caller };
        Ok(Visitor { scope, reference, expires_at: identity.expires_at })
    }

    /// As [`Admin::visitor`], of somebody whose membership memory may not know yet.
    pub async fn newcomer(&self, token: &str) -> Result<Visitor, Refusal> {
        let refused = self.visitor(token);
        if let (Err(Refusal::Forbidden), Ok(identity)) = (&refused, self.ports.authenticator.authenticate(token)) {
            self.ports.reference.look_again(identity.tenant_id, identity.user_id).await;
            return self.visitor(token);
        }
        refused
    }
}

fn may_look(role: Role) -> bool {
    match role {
        Role::Operator | Role::Owner | Role::Manager => true,
        Role::Staff | Role::Customer | Role::Service => false,
    }
}

pub fn token(request: &HttpRequest) -> Option<String> {
    request.cookie(COOKIE).map(|cookie| cookie.value().to_owned())
}
