use std::sync::Arc;

use codeccloud_actors::ports::Clock;

use super::{Claims, TokenKeys};
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
            Ok(claims) => {
                let Claims { tenant_id, user_id, role, expires_at, kid: _ } = claims;
                Ok(Identity { tenant_id, user_id, role, expires_at })
            }
            Err(reason) => {
                tracing::debug!(%reason, "a token was refused");
                Err(InvalidToken)
            }
        }
    }
}
