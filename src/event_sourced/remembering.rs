//! Ports that remember the answers which pass by, once they are committed.

use std::sync::Arc;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::{
    Append, AppendError, Committed, Completion, IdempotencyStore, Journal, StoreError, StoredAnswer,
};
use futures_util::future::BoxFuture;

use crate::ports::Answers;

pub struct RememberingJournal {
    pub journal: Arc<dyn Journal>,
    pub answers: Arc<dyn Answers>,
}

impl Journal for RememberingJournal {
    fn submit(&self, append: Append, done: Completion) -> bool {
        let Some(record) = append.idempotency.clone() else { return self.journal.submit(append, done) };
        let (tenant_id, command_id) = (append.tenant_id, append.command_id);
        let answers = Arc::clone(&self.answers);
        let remembering = move |result: Result<Committed, AppendError>| {
            if let Ok(Committed { transaction_id, .. }) = result {
                let stored = record.committed(command_id, transaction_id);
                answers.remember(tenant_id, &record.key, stored);
            }
            done(result);
        };
        self.journal.submit(append, Box::new(remembering))
    }
}

/// What one look-up has found, the next retry finds sooner.
pub struct RememberingIdempotency {
    pub store: Arc<dyn IdempotencyStore>,
    pub answers: Arc<dyn Answers>,
}

impl RememberingIdempotency {
    fn remembered(&self, tenant_id: TenantId, key: &str, found: Option<StoredAnswer>) -> Option<StoredAnswer> {
        found.inspect(|stored| self.answers.remember(tenant_id, key, stored.clone()))
    }
}

impl IdempotencyStore for RememberingIdempotency {
    fn find<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(async move { Ok(self.remembered(tenant_id, key, self.store.find(tenant_id, key).await?)) })
    }

    fn committed<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(async move { Ok(self.remembered(tenant_id, key, self.store.committed(tenant_id, key).await?)) })
    }
}
