use codeccloud_actors::ids::{StaffId, UserId};
use codeccloud_actors::reference::{self, TenantReference};
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaffMember {
    pub id: StaffId,
    /// Who logs in as this person, if anyone.
    pub user_id: Option<UserId>,
    pub display_name: String,
    pub color: String,
    pub active: bool,
}

impl StaffMember {
    pub fn find(reference: &TenantReference, id: StaffId) -> Option<StaffMember> {
        reference.staff.get(&id).map(StaffMember::from)
    }
}

impl From<&reference::StaffMember> for StaffMember {
    fn from(member: &reference::StaffMember) -> StaffMember {
        StaffMember {
            id: member.id,
            user_id: member.user_id,
            display_name: member.display_name.clone(),
            color: member.color.clone(),
            active: member.active,
        }
    }
}
