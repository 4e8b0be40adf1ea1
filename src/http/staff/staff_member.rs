use codeccloud_actors::ids::{StaffId, UserId};
use codeccloud_actors::reference;
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
