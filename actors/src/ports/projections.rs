use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::ids::{Position, TenantId};
use crate::projections::Stopped;

use super::{FeedCursor, StoreError};

/// Keeps each projection's snapshot together with its checkpoint. After a crash both are as of the last save that
/// returned; the feed gives everything since again.
pub trait ProjectionStore: Send + Sync + 'static {
    fn load<'a>(&'a self, projection: &'a str) -> BoxFuture<'a, Result<Option<SavedProjection>, StoreError>>;

    /// Writes nothing when what is there is of a later generation: another node was ordered to fold anew, and has.
    fn save<'a>(&'a self, projection: &'a str, saved: SavedProjection) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Records that a tenant is stopped at an event that can't be applied, where an operator sees it. The next save of a
    /// model in which the tenant goes on takes it back.
    fn stop_tenant<'a>(
        &'a self,
        projection: &'a str,
        tenant_id: TenantId,
        position: Position,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// What operators have ordered so far. A store that no operator reaches has no orders.
    fn orders<'a>(&'a self, _projection: &'a str) -> BoxFuture<'a, Result<ProjectionOrders, StoreError>> {
        Box::pin(async { Ok(ProjectionOrders::default()) })
    }
}

#[derive(Debug, Clone)]
pub struct SavedProjection {
    pub generation: u64,
    pub cursor: FeedCursor,
    pub events_applied: u64,
    /// For operators to see; the state has them as well, so they are not loaded.
    pub stopped: Vec<(TenantId, Stopped)>,
    pub format: u16,
    /// MessagePack.
    pub state: Bytes,
}

/// A state to be reached, not a message to be received: whichever node was away finds it when it is back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectionOrders {
    /// A model of an earlier generation is to be folded anew, from the first event on.
    pub generation: u64,
    /// Events to be passed over.
    pub skipped: BTreeSet<Position>,
}

/// How operators reach the projections of running servers, from a process of their own.
pub trait ProjectionOperators: Send + Sync + 'static {
    /// Returns when there may be a new inquiry: when told so, or after a second.
    fn wait(&self) -> BoxFuture<'_, ()>;

    /// The number of the newest inquiry. One is made with every order, and to ask how things are.
    fn inquiry(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// This node's answer to all inquiries up to this one.
    fn report<'a>(&'a self, inquiry: u64, projections: &'a [ProjectionStatus])
    -> BoxFuture<'a, Result<(), StoreError>>;
}

/// A projection of one node, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionStatus {
    pub name: String,
    pub generation: u64,
    pub cursor: FeedCursor,
    pub events_applied: u64,
    /// Has caught up since the start; until then its reads are refused.
    pub live: bool,
    /// Events that a model under way beside the live one has applied.
    pub rebuilding: Option<u64>,
    pub stopped: Vec<(TenantId, Stopped)>,
}
