//! Who is asking: bearer tokens, verified with a shared secret or with the keys of a JWKS.
//!
//! A client never learns why a token was refused (the answer is 401); the log does.

mod authenticator;
mod jwt;
mod keys;
mod mint;
#[cfg(test)]
mod tests;

pub use authenticator::TokenAuthenticator;
pub use jwt::{Claims, TokenError};
pub use keys::{KeySetError, TokenKeys};
pub use mint::{Grant, mint};
