//! Why a transaction of the journal did not commit.

use tokio_postgres::error::SqlState;

use super::batch::parse_numbers;
use super::columns::Columns;
use crate::postgres::{described, is_broken_rule, is_erased};

pub(super) enum Refused {
    /// Streams or customers that are elsewhere.
    Elsewhere {
        streams: String,
        customers: String,
    },
    KeysTaken(String),
    /// Tenants whose events don't come from appends any more, or not yet.
    StageEnded(String),
    /// A row that other software wrote.
    RowInTheWay,
    /// Other software has changed a row, or taken it away: the change doesn't fit it any more.
    RowChanged(String),
    /// A customer's key is no more, while a note was sealed under it.
    Erased,
    /// Worth another try as it is.
    Transient(String),
    /// Somebody holds a lock that the batch needs, and doesn't let go.
    Locked(String),
    /// The database is stopping or out of something: nothing was written.
    Unavailable(String),
    /// Something in the batch is at fault.
    Faulty(String),
    /// The connection is gone, and with it the answer.
    Lost(String),
}

impl Refused {
    pub fn of(error: &tokio_postgres::Error, columns: &Columns<'_>) -> Refused {
        let Some(db) = error.as_db_error() else {
            return if error.is_closed()
                || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
            {
                Refused::Lost(described(error))
            } else {
                // An argument that can't be sent, such as a text with a zero byte.
                Refused::Faulty(described(error))
            };
        };
        let detail = db.detail().unwrap_or_default();
        let code = db.code();
        match code.code() {
            "CC001" => Refused::Elsewhere {
                streams: detail.to_owned(),
                customers: owners(db.hint().unwrap_or_default(), &columns.customer_owner),
            },
            "CC003" => Refused::StageEnded(detail.to_owned()),
            _ if *code == SqlState::EXCLUSION_VIOLATION => Refused::RowInTheWay,
            // Not where it was, or in a status from which the MVP's own trigger knows no way.
            "CC004" => Refused::RowChanged(described(error)),
            "CC002" => Refused::KeysTaken(owners(detail, &columns.key_owner)),
            _ if is_erased(db) => Refused::Erased,
            // Unique are also what the deployment wants to be.
            _ if is_broken_rule(code) || *code == SqlState::UNIQUE_VIOLATION => Refused::RowChanged(described(error)),
            _ if *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE => {
                Refused::Transient(described(error))
            }
            _ if *code == SqlState::LOCK_NOT_AVAILABLE => Refused::Locked(described(error)),
            // The server ends this session: the transaction may be over already, either way.
            _ if *code == SqlState::ADMIN_SHUTDOWN || *code == SqlState::CRASH_SHUTDOWN => {
                Refused::Lost(described(error))
            }
            // A pooler has lost the server, and with it the answer.
            other if other.starts_with("08") => Refused::Lost(described(error)),
            // Insufficient resources, operator intervention, read-only standby: no append is at fault.
            other if other.starts_with("53") || other.starts_with("57") || other == "25006" => {
                Refused::Unavailable(described(error))
            }
            _ => Refused::Faulty(described(error)),
        }
    }
}

/// The numbers of the appends that the function's numbers belong to.
fn owners(numbers: &str, owner: &[usize]) -> String {
    let owners: Vec<String> =
        parse_numbers(numbers).filter_map(|number| owner.get(number)).map(|owner| (owner + 1).to_string()).collect();
    owners.join(",")
}
