//! The journal: group commit over a few connections, each the only way of its tenants' events.

mod batch;
mod columns;
mod lane;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::{Append, AppendError, Completion, IdempotencyStore, Journal};
use codeccloud_actors::trace;
use tokio::sync::mpsc;
use tracing::Span;

use super::Database;
use super::feed::FeedWaker;
use lane::Lane;

#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Connections. Two saturate two cores; more only add latency.
    pub lanes: usize,
    /// Appends that may wait in one lane.
    pub queue_max: usize,
    /// Appends in one transaction.
    pub batch_max: usize,
    /// The pause after the database could not be reached.
    pub reconnect_pause: Duration,
}

pub struct PostgresJournal {
    lanes: Vec<mpsc::Sender<Queued>>,
}

struct Queued {
    append: Append,
    done: Completion,
    /// Disabled where nobody wants traces.
    span: Span,
}

impl PostgresJournal {
    /// Starts the lanes on the database's runtime. They connect with the first append.
    pub fn start(
        database: &Database,
        settings: &JournalSettings,
        idempotency: &Arc<dyn IdempotencyStore>,
        waker: &FeedWaker,
    ) -> PostgresJournal {
        let lanes = (0..settings.lanes.max(1)).map(|number| {
            let (sender, receiver) = mpsc::channel(settings.queue_max);
            let lane = Lane::new(number, database.clone(), settings.clone(), Arc::clone(idempotency), waker.clone());
            database.io().spawn(lane.run(receiver));
            sender
        });
        PostgresJournal { lanes: lanes.collect() }
    }

    fn lane(&self, tenant_id: TenantId) -> &mpsc::Sender<Queued> {
        let mut hasher = DefaultHasher::new();
        tenant_id.hash(&mut hasher);
        let lanes = self.lanes.len() as u64;
        &self.lanes[usize::try_from(hasher.finish() % lanes).expect("fewer lanes than addresses")]
    }
}

impl Journal for PostgresJournal {
    fn submit(&self, append: Append, done: Completion) -> bool {
        match self.lane(append.tenant_id).try_send(Queued { append, done, span: trace::append() }) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(queued)) => {
                (queued.done)(Err(AppendError::QueueFull));
                false
            }
            Err(mpsc::error::TrySendError::Closed(queued)) => {
                (queued.done)(Err(AppendError::QueueFull));
                false
            }
        }
    }
}
