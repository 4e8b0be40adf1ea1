//! What makes it evident that somebody has changed the audit log: a chain of keyed seals over ranges of its entries, and
//! the comparison of the log with them. Pure; `postgres::audit` reads, writes and runs it.
//!
//! The order of sealing is that of transactions, not of ids: ids commit out of order, while everything below the oldest
//! running transaction is final. Within a transaction, ids rise. A range is therefore bounded by [`Place`]s, and nothing
//! that commits later can fall into one.

mod anchor;
mod entry;
mod finding;
mod seal;
#[cfg(test)]
mod tests;
mod verification;

pub use anchor::Anchor;
pub use entry::{Entry, Place};
pub use finding::Finding;
pub use seal::{Digest, Range, RetiredKey, Seal, SealKey, SealKeys, SealKeysError};
pub use verification::{Summary, Verification};

/// The cluster of entries from before transactions were noted: there is no such one.
pub const THE_PAST: i64 = 0;
