use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::{CustomerId, TenantId};
use codeccloud_actors::reference::TenantReference;

use super::problem::Problem;
use crate::ports::Scope;

/// Who asks, for which tenant. It comes from the gate only, so a handler that takes one is never reached by anyone whom
/// the route table doesn't let in.
#[derive(Clone)]
pub struct Session {
    pub tenant_id: TenantId,
    pub caller: Caller,
    pub reference: Arc<TenantReference>,
}

impl Session {
    pub fn scope(&self) -> Scope {
        Scope { tenant_id: self.tenant_id, caller: self.caller }
    }

    /// Another customer is as if it weren't there.
    pub fn may_see(&self, customer_id: CustomerId) -> Result<(), Problem> {
        match self.caller.own_customer() {
            Some(own) if own != customer_id => Err(Problem::not_found("customer")),
            Some(_) | None => Ok(()),
        }
    }
}

impl FromRequest for Session {
    type Error = Problem;
    type Future = Ready<Result<Session, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = request.extensions().get::<Session>().cloned();
        ready(session.ok_or_else(|| Problem::internal(&"a public route has a handler that asks for a session")))
    }
}
