//! What it means when a command's transaction fails.

use codeccloud_actors::runtime::ExecutionError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::postgres::{described, is_broken_rule, is_erased};

pub(super) enum Refused {
    /// Decided again on what is there now, it may go through: deadlocks, serialization failures, a row that is not where
    /// it was a moment ago.
    Again(String),
    /// Something is there already that may be there once. Decided again, the aggregate sees it, if it knows of such a rule.
    Taken(String),
    /// A row is where the slot is. Decided again, the aggregate usually sees it.
    RowInTheWay,
    /// The idempotency key is another command's.
    KeyTaken,
    For(ExecutionError),
}

impl From<ExecutionError> for Refused {
    fn from(error: ExecutionError) -> Self {
        Refused::For(error)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return Refused::For(ExecutionError::unavailable(described(&error)));
        };
        let code = db.code();
        match code.code() {
            "CC001" => Refused::For(ExecutionError::CustomerMoved),
            "CC002" => Refused::KeyTaken,
            "CC004" => Refused::Again(described(&error)),
            _ if *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE => {
                Refused::Again(described(&error))
            }
            // Prepared before the schema changed.
            _ if *code == SqlState::FEATURE_NOT_SUPPORTED => Refused::Again(described(&error)),
            _ if *code == SqlState::EXCLUSION_VIOLATION => Refused::RowInTheWay,
            _ if is_erased(db) => Refused::For(ExecutionError::CustomerMoved),
            // Of two that make the first entry of an account, for example, or an index of the deployment's own.
            _ if *code == SqlState::UNIQUE_VIOLATION => Refused::Taken(described(&error)),
            // A rule of the database's own, or what the command refers to is gone.
            _ if is_broken_rule(code) => {
                tracing::warn!(reason = described(&error), "a rule of the database refused a command");
                Refused::For(ExecutionError::RowChanged)
            }
            // Whose membership has just ended, for example.
            _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                tracing::warn!(reason = described(&error), "the database's policies refused a command");
                Refused::For(ExecutionError::Forbidden)
            }
            // Connection exceptions, insufficient resources, locks, operator intervention, a read-only standby.
            other if ["08", "53", "55", "57"].iter().any(|class| other.starts_with(class)) || other == "25006" => {
                Refused::For(ExecutionError::unavailable(described(&error)))
            }
            _ => Refused::For(ExecutionError::Internal(described(&error))),
        }
    }
}
