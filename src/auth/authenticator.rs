use std::sync::{Arc, Mutex, PoisonError};

use codeccloud_actors::ports::Clock;

use super::{Claims, TokenError, TokenKeys};
use crate::generations::Generations;
use crate::ports::{Authenticator, Identity, InvalidToken};

/// Some 500 bytes each.
const VERIFIED_MAX: usize = 10_000;

/// The door's authenticator: bearer tokens against the configured keys.
pub struct TokenAuthenticator {
    keys: TokenKeys,
    clock: Arc<dyn Clock>,
    /// A front-end sends the same token with each request until it expires. Keys don't change while the server runs, so
    /// what was signed once stays signed; whether it has expired is asked each time.
    verified: Mutex<Generations<Box<str>, Claims>>,
}

impl TokenAuthenticator {
    pub fn new(keys: TokenKeys, clock: Arc<dyn Clock>) -> TokenAuthenticator {
        TokenAuthenticator { keys, clock, verified: Mutex::new(Generations::new(VERIFIED_MAX)) }
    }

    fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        let now = self.clock.now();
        let verified = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        // The guard must not live on into the branch that takes it again.
        let known = verified().get(token);
        match known {
            Some(claims) => claims.unless_expired(now),
            None => {
                let claims = self.keys.verify(token, now)?;
                let dropped = verified().insert(token.into(), claims.clone());
                drop(dropped);
                Ok(claims)
            }
        }
    }
}

impl Authenticator for TokenAuthenticator {
    fn authenticate(&self, token: &str) -> Result<Identity, InvalidToken> {
        match self.claims(token) {
            Ok(claims) => {
                let Claims { tenant_id, user_id, role, issued_at, expires_at, kid: _ } = claims;
                Ok(Identity { tenant_id, user_id, role, issued_at, expires_at })
            }
            Err(reason) => {
                tracing::debug!(%reason, "a token was refused");
                Err(InvalidToken)
            }
        }
    }
}
