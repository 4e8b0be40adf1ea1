//! The journal: group commit over a few connections, each the only way of its tenants' events.

mod batch;
mod columns;
mod lane;
mod queue;
mod refused;
mod rows;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::{Append, AppendError, Completion, IdempotencyStore, Journal};
use codeccloud_actors::trace;
use tracing::Span;

use super::Database;
use super::feed::FeedWaker;
use lane::Lane;
use queue::Queue;

#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Connections. Two saturate two cores; more only add latency.
    pub lanes: usize,
    /// Appends that may wait in one lane; a tenant may have as many as there are free places.
    pub queue_max: usize,
    /// Appends in one transaction.
    pub batch_max: usize,
    /// The pause after the database could not be reached.
    pub reconnect_pause: Duration,
}

pub struct PostgresJournal {
    lanes: Vec<Arc<Queue<Queued>>>,
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
            let queue = Arc::new(Queue::new(settings.queue_max));
            let lane = Lane::new(number, &queue, database, settings, idempotency, waker);
            database.io().spawn(lane.run());
            queue
        });
        PostgresJournal { lanes: lanes.collect() }
    }

    fn lane(&self, tenant_id: TenantId) -> &Queue<Queued> {
        let mut hasher = DefaultHasher::new();
        tenant_id.hash(&mut hasher);
        let lanes = self.lanes.len() as u64;
        &self.lanes[usize::try_from(hasher.finish() % lanes).expect("fewer lanes than addresses")]
    }
}

impl Journal for PostgresJournal {
    fn submit(&self, append: Append, done: Completion) -> bool {
        let tenant_id = append.tenant_id;
        let queued = Queued { append, done, span: trace::append() };
        match self.lane(tenant_id).push(tenant_id, queued) {
            Ok(()) => true,
            Err(queued) => {
                (queued.done)(Err(AppendError::QueueFull));
                false
            }
        }
    }
}

impl Drop for PostgresJournal {
    /// The lanes end when they have committed what waits.
    fn drop(&mut self) {
        self.lanes.iter().for_each(|queue| queue.close());
    }
}
