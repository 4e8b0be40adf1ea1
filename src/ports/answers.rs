use std::time::Duration;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::StoredAnswer;
use futures_util::future::BoxFuture;

/// Retries come within seconds. Later ones are answered by the database, which keeps answers for days.
pub const ANSWER_KEPT: Duration = Duration::from_secs(3_600);

/// Larger answers are left to the database. Those of bookings have some two kilobytes at most.
pub const ANSWER_BYTES_MAX: usize = 8_192;

/// Answers of late in front of the database, so that a retry costs it nothing. What is remembered are copies of committed
/// rows, with what the vault has sealed still sealed; losing them loses nothing.
pub trait Answers: Send + Sync + 'static {
    /// What this very request was answered. `None` says nothing at all: ask the database.
    fn recall<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
        request_hash: [u8; 32],
    ) -> BoxFuture<'a, Option<StoredAnswer>>;

    /// To be called after the commit, and never before. Returns at once; it may be forgotten right away.
    fn remember(&self, tenant_id: TenantId, key: &str, answer: StoredAnswer);
}
