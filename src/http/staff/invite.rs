use actix_web::HttpResponse;
use actix_web::web::Data;
use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::{StaffId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::members::NAME_LENGTH_MAX;
use crate::http::Door;
use crate::http::authorise::forbidden;
use crate::http::execute::{self, Call};
use crate::http::extractors::Body;
use crate::http::problem::Problem;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::NewMember;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    pub email: String,
    pub role: InvitedRole,
    /// Given: the member also serves customers, under this name.
    #[schemars(length(min = 1, max = NAME_LENGTH_MAX))]
    pub display_name: Option<String>,
    /// The `sub` of the tokens that the member will have; absent: a new one.
    pub user_id: Option<UserId>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invited {
    pub user_id: UserId,
    pub staff_id: Option<StaffId>,
    pub role: InvitedRole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InvitedRole {
    Owner,
    Manager,
    Staff,
}

impl From<InvitedRole> for Role {
    fn from(role: InvitedRole) -> Role {
        match role {
            InvitedRole::Owner => Role::Owner,
            InvitedRole::Manager => Role::Manager,
            InvitedRole::Staff => Role::Staff,
        }
    }
}

impl Validate for Invitation {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.email("email", &self.email);
        if let Some(name) = &self.display_name {
            errors.name("displayName", name, NAME_LENGTH_MAX);
        }
    }
}

pub async fn invite(door: Data<Door>, call: Call, body: Body<Invitation>) -> Result<HttpResponse, Problem> {
    let (session, key) = (&call.session, call.idempotency(body.request_hash)?);
    let Invitation { role, display_name, user_id, .. } = body.value;
    if role == InvitedRole::Owner && session.caller.role != Role::Owner {
        return Err(forbidden("only an owner makes an owner"));
    }
    let user_id = user_id.unwrap_or_else(|| UserId(door.ids.uuid()));
    let new = NewMember { user_id, role: role.into(), display_name };
    let invited = door.reference.invite(session.tenant_id, session.caller, new, Some(key));
    let (user_id, staff_id, replayed) = invited.await?;
    let mut response = HttpResponse::Created();
    execute::mark_replay(&mut response, replayed);
    Ok(response.json(Invited { user_id, staff_id, role }))
}
