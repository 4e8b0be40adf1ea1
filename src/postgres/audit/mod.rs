//! The audit log: read by members through the policies, sealed and verified across tenants by a role of its own.

mod entries;
mod index;
mod rows;
mod sealer;
mod verifying;

pub use entries::{PostgresAudit, export};
pub use sealer::{Sealed, Sealer, SealerSettings};
pub use verifying::{record, verify};
