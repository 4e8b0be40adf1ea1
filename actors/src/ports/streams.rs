use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::envelope::RecordedEvent;
use crate::ids::{StreamId, Version};
use crate::time::Timestamp;

use super::{Head, StoreError};

/// Reads streams back. What was committed before the call is seen.
pub trait StreamStore: Send + Sync + 'static {
    /// The newest snapshot and how far the stream goes; a stream without events is at version 0.
    fn load(&self, stream: StreamId) -> BoxFuture<'_, Result<LoadedStream, StoreError>>;

    /// The next events after `after`, in version order, a bounded number at a time; none once `after` is the head.
    fn read<'a>(
        &'a self,
        loaded: &'a LoadedStream,
        after: Version,
    ) -> BoxFuture<'a, Result<Vec<RecordedEvent>, StoreError>>;
}

#[derive(Debug, Clone)]
pub struct LoadedStream {
    pub stream: StreamId,
    pub head: Head,
    pub snapshot: Option<Snapshot>,
    /// When the first and the last event were recorded: which partitions hold the stream.
    pub first_recorded_at: Timestamp,
    pub last_recorded_at: Timestamp,
}

/// An aggregate's state at a version, in MessagePack.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub stream: StreamId,
    pub version: Version,
    /// When the event of `version` was recorded.
    pub recorded_at: Timestamp,
    pub format: u16,
    pub state: Bytes,
}

/// Keeps snapshots. They only save time: one that is lost, at a crash or for lack of room in the queue, is rebuilt from
/// events. An older version never replaces a newer one.
pub trait SnapshotStore: Send + Sync + 'static {
    fn save(&self, snapshot: Snapshot);
}
