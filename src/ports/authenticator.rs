use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::{TenantId, UserId};

/// Says who holds a bearer token. Whether that person is still a member is not asked here.
pub trait Authenticator: Send + Sync + 'static {
    /// Cheap enough for every request: keys are in memory.
    fn authenticate(&self, token: &str) -> Result<Identity, InvalidToken>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub tenant_id: TenantId,
    pub user_id: UserId,
    pub role: Role,
}

/// Why, is for the log of whoever checked it: clients never learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is not valid")]
pub struct InvalidToken;
