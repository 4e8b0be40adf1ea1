use bytes::Bytes;
use uuid::Uuid;

use crate::ids::{BookingId, CommandId, CustomerId, EventId, StreamId, TenantId, Version};
use crate::rows::RowChange;
use crate::time::Timestamp;

use super::{IdempotencyRecord, StoredAnswer};

/// The one way of events into the event store.
///
/// `submit` queues and returns at once; `done` is called exactly once, from another thread, when the outcome is known.
/// Appends of one tenant are committed in the order in which they were submitted. A caller that goes away changes nothing.
pub trait Journal: Send + Sync + 'static {
    /// `false` when the lane's queue is full: `done` was then called with [`AppendError::QueueFull`] before the return.
    fn submit(&self, append: Append, done: Completion) -> bool;
}

pub type Completion = Box<dyn FnOnce(Result<Committed, AppendError>) + Send + Sync>;

/// All of it is committed in one transaction, or none.
#[derive(Debug, Clone)]
pub struct Append {
    pub tenant_id: TenantId,
    pub command_id: CommandId,
    /// The events' metadata, as JSON.
    pub metadata: Bytes,
    pub streams: Vec<StreamAppend>,
    pub idempotency: Option<IdempotencyRecord>,
    pub sagas: Vec<SagaRow>,
    pub sealed: Vec<SealedRow>,
    /// What goes with the events in the transactional tables, where the tenant's stage still has them.
    pub rows: Vec<RowChange>,
}

/// The stream must stand at `expected`. Without events it is only checked: a refusal is as durable as the state that it
/// was decided on.
#[derive(Debug, Clone)]
pub struct StreamAppend {
    pub stream: StreamId,
    pub expected: Head,
    pub events: Vec<NewEvent>,
}

impl StreamAppend {
    /// Where the stream stands afterwards.
    pub fn head(&self) -> Head {
        self.events.last().map_or(self.expected, |last| Head {
            version: self.expected.version.plus(self.events.len()),
            last_event_id: Some(last.event_id),
        })
    }
}

/// Where a stream ends. A version alone does not say on which history a decision was made: another writer's event may
/// have taken the place of one that was never committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    pub version: Version,
    /// `None` at version 0.
    pub last_event_id: Option<EventId>,
}

impl Head {
    pub const NONE: Head = Head { version: Version::NONE, last_event_id: None };
}

#[derive(Debug, Clone)]
pub struct NewEvent {
    pub event_id: EventId,
    pub event_type: &'static str,
    pub schema_version: u16,
    pub payload: Bytes,
    pub occurred_at: Timestamp,
}

/// A row of `saga_instances`, as of `version`.
#[derive(Debug, Clone)]
pub struct SagaRow {
    pub saga_type: &'static str,
    pub saga_id: Uuid,
    pub version: Version,
    pub status: &'static str,
    /// JSON.
    pub state: String,
}

/// What the vault keeps, already encrypted: it is committed with the command that brought it.
#[derive(Debug, Clone)]
pub enum SealedRow {
    Customer(SealedCustomer),
    Note(SealedNote),
}

/// `revision` is the one that this row follows; 0 is a customer that the vault doesn't know yet.
#[derive(Debug, Clone)]
pub struct SealedCustomer {
    pub customer_id: CustomerId,
    pub revision: i32,
    pub wrapped_key: Bytes,
    pub master_key_id: String,
    pub profile: Bytes,
    pub email_lookup: Bytes,
}

#[derive(Debug, Clone)]
pub struct SealedNote {
    pub customer_id: CustomerId,
    pub booking_id: BookingId,
    /// `note`, `reschedule_reason` or `cancellation_reason`.
    pub kind: &'static str,
    pub ciphertext: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The database transaction: readers that are past it have seen the events.
    pub transaction_id: u64,
    /// The store's clock: it tells later reads which partitions to look at.
    pub recorded_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A stream doesn't stand where it was expected. Nothing was written.
    #[error("another writer was first")]
    Conflict,
    /// A sealed customer doesn't stand at the expected revision: it has to be sealed again. Nothing was written.
    #[error("another writer has changed the customer")]
    CustomerMoved,
    /// The idempotency key is taken: here is what was answered then. Nothing was written.
    #[error("the command was answered before")]
    Duplicate(StoredAnswer),
    /// The tenant is at a stage whose events don't come from appends. Nothing was written.
    #[error("the tenant's stage has changed")]
    StageEnded,
    /// A row that other software wrote is where a row of this append has to go. Nothing was written.
    #[error("a row is in the way")]
    RowInTheWay,
    /// Other software has changed a row, or taken it away, so that this append's change doesn't fit it. Nothing was written.
    #[error("other software has changed a row")]
    RowChanged,
    /// The database refuses this append, and would refuse it again. Nothing was written.
    #[error("the append was rejected: {0}")]
    Rejected(String),
    /// Too many appends wait. Nothing was written, and nothing before it is in doubt.
    #[error("the journal's queue is full")]
    QueueFull,
    /// Nothing was written.
    #[error("the database can't be reached: {0}")]
    Unavailable(String),
    /// The connection went away during the commit: look the command up before deciding again.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(String),
}
