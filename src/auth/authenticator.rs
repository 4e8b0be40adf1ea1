use std::sync::Arc;

use codeccloud_actors::ports::Clock;

use super::TokenKeys;
use crate::ports::{Authenticator, Identity, InvalidToken};

/// The door's authenticator: bearer tokens against the configured keys.
pub struct TokenAuthenticator {
    keys: TokenKeys,
    clock: Arc<dyn Clock>,
}

impl TokenAuthenticator {
    pub fn new(keys: TokenKeys, clock: Arc<dyn Clock>) -> TokenAuthenticator {
        TokenAuthenticator { keys, clock }
    }
}

impl Authenticator for TokenAuthenticator {
    fn authenticate(&self, token: &str) -> Result<Identity, InvalidToken> {
        match self.keys.verify(token, self.clock.now()) {
            Ok(claims) => Ok(Identity { tenant_id: claims.tenant_id, user_id: claims.user_id, role: claims.role }),
            Err(reason) => {
                tracing::debug!(%reason, "a token was refused");
                Err(InvalidToken)
            }
        }
    }
}
