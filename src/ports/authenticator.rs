use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::{TenantId, UserId};
use codeccloud_actors::reference::{MemberRole, TenantReference};
use codeccloud_actors::time::Timestamp;

/// Says who holds a bearer token. Whether that person is still a member, and the token not revoked, is not asked here.
pub trait Authenticator: Send + Sync + 'static {
    /// Cheap enough for every request: keys are in memory.
    fn authenticate(&self, token: &str) -> Result<Identity, InvalidToken>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub tenant_id: TenantId,
    pub user_id: UserId,
    /// As the token says; see [`Identity::role_in`].
    pub role: Role,
    /// `None` when the token doesn't say.
    pub issued_at: Option<Timestamp>,
    pub expires_at: Timestamp,
}

impl Identity {
    /// Tokens are made for whole seconds: one of the second of the revocation is void too, and so is one that doesn't say
    /// when it was issued.
    pub fn is_revoked_in(self, reference: &TenantReference) -> bool {
        let revoked = reference.revocations.get(&self.user_id);
        revoked.is_some_and(|issued_before| self.issued_at.is_none_or(|issued_at| issued_at < *issued_before))
    }

    /// Members have the weaker of the token's role and the membership's: a token outlives a demotion. `None` for who is
    /// no member.
    pub fn role_in(self, reference: &TenantReference) -> Option<Role> {
        let claimed = match self.role {
            Role::Owner => MemberRole::Owner,
            Role::Manager => MemberRole::Manager,
            Role::Staff => MemberRole::Staff,
            Role::Customer | Role::Service | Role::Operator => return Some(self.role),
        };
        let member = reference.members.get(&self.user_id)?;
        Some(match claimed.min(member.role) {
            MemberRole::Owner => Role::Owner,
            MemberRole::Manager => Role::Manager,
            MemberRole::Staff => Role::Staff,
        })
    }
}

/// Why, is for the log of whoever checked it: clients never learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is not valid")]
pub struct InvalidToken;
