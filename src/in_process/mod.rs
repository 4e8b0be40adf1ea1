//! What servers would share in Redis, kept in this process: for a server that has none, and while it is away. The same
//! semantics, for this server alone.

mod answers;
mod rate_limiter;
mod sessions;

pub use answers::LocalAnswers;
pub use rate_limiter::LocalRateLimiter;
pub use sessions::LocalSessions;
