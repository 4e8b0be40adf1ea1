//! What the core needs of the world: one trait a file, each mirrored by an adapter. The docs say what holds after a crash.

mod clock;
mod feed;
mod idempotency;
mod journal;
mod projections;
mod streams;

pub use clock::{Clock, Ids};
pub use feed::{Feed, FeedCursor, FeedPage, FeedPlace, OpenWindow};
pub use idempotency::{IdempotencyRecord, IdempotencyStore, StoredAnswer};
pub use journal::{
    Append, AppendError, Committed, Completion, Head, Journal, NewEvent, SagaRow, SealedCustomer, SealedNote,
    SealedRow, StreamAppend,
};
pub use projections::{ProjectionOperators, ProjectionOrders, ProjectionStatus, ProjectionStore, SavedProjection};
pub use streams::{LoadedStream, Snapshot, SnapshotStore, StreamStore};

/// The store could not answer. Nothing is known to be lost; the caller may try again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event store can't be reached: {0}")]
pub struct StoreError(pub String);
