use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::ids::{CommandId, CustomerId, TenantId};

use super::StoreError;

/// Committed with the command, so that a retry is answered alike after any crash.
#[derive(Debug, Clone)]
pub struct IdempotencyRecord {
    pub key: String,
    pub request_hash: [u8; 32],
    pub status: u16,
    pub answer: Bytes,
    /// The customer under whose key `answer` is encrypted; `None` when it holds no personal data and is plain.
    pub sealed_for: Option<CustomerId>,
}

impl IdempotencyRecord {
    /// What is found under its key from now on.
    pub fn committed(&self, command_id: CommandId, transaction_id: u64) -> StoredAnswer {
        StoredAnswer {
            command_id,
            request_hash: self.request_hash,
            status: self.status,
            answer: self.answer.clone(),
            sealed_for: self.sealed_for,
            transaction_id,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    pub command_id: CommandId,
    pub request_hash: [u8; 32],
    pub status: u16,
    pub answer: Bytes,
    pub sealed_for: Option<CustomerId>,
    /// The database transaction that committed it, or a later one: readers that are past it have seen the events.
    pub transaction_id: u64,
}

pub trait IdempotencyStore: Send + Sync + 'static {
    /// Waits for transactions of the tenant that may still be committing this key, so `None` means: it never will be by
    /// an attempt whose connection is gone. Every writer of the tenant waits meanwhile, so it is for those only who have
    /// lost the answer to a commit.
    fn find<'a>(&'a self, tenant_id: TenantId, key: &'a str)
    -> BoxFuture<'a, Result<Option<StoredAnswer>, StoreError>>;

    /// What is committed, without waiting for anybody.
    fn committed<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredAnswer>, StoreError>>;
}
