use std::time::Duration;

use codeccloud_actors::ids::{TenantId, UserId};
use futures_util::future::BoxFuture;

/// Projections follow within milliseconds, unless something holds the feed's horizon back: then a read waits for as long as
/// it may and goes ahead without the write, and there is no use in having it wait for ever after.
pub const SESSION_KEPT: Duration = Duration::from_secs(10);

/// What each user wrote last, so that the same user's next read waits for it, on whichever server.
pub trait Sessions: Send + Sync + 'static {
    /// Once it is over, all servers that share the store know. Answers may come in another order than their commits: the
    /// latest transaction counts.
    fn wrote(&self, tenant_id: TenantId, user_id: UserId, transaction_id: u64) -> BoxFuture<'_, ()>;

    /// The transaction that the user's reads have to be past.
    fn last_write(&self, tenant_id: TenantId, user_id: UserId) -> BoxFuture<'_, Option<u64>>;
}
