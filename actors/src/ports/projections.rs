use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::ids::{Position, TenantId};

use super::{FeedCursor, StoreError};

/// Keeps each projection's snapshot together with its checkpoint. After a crash both are as of the last save that
/// returned; the feed gives everything since again.
pub trait ProjectionStore: Send + Sync + 'static {
    fn load<'a>(&'a self, projection: &'a str) -> BoxFuture<'a, Result<Option<SavedProjection>, StoreError>>;

    fn save<'a>(&'a self, projection: &'a str, saved: SavedProjection) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Records that a tenant is stopped at an event that can't be applied, where an operator sees it.
    fn stop_tenant<'a>(
        &'a self,
        projection: &'a str,
        tenant_id: TenantId,
        position: Position,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

#[derive(Debug, Clone)]
pub struct SavedProjection {
    pub cursor: FeedCursor,
    pub events_applied: u64,
    pub format: u16,
    /// MessagePack.
    pub state: Bytes,
}
