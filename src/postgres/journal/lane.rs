//! One lane: while a transaction is under way, appends queue; the next takes all of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::metrics_catalogue as names;
use codeccloud_actors::ports::{Append, AppendError, Committed, IdempotencyStore};

use super::batch::{Batch, blamed, parse_numbers};
use super::columns::{Columns, STATEMENT, TYPES};
use super::queue::Queue;
use super::refused::Refused;
use super::rows::{self, Rows};
use super::{JournalSettings, Queued};
use crate::postgres::feed::FeedWaker;
use crate::postgres::pooled::PooledClient;
use crate::postgres::types::PgTime;
use crate::postgres::{Database, DatabaseRole, described};

/// How often a batch is tried again after a deadlock or a serialization failure, which another node can cause.
const TRANSIENT_RETRIES: u32 = 5;

pub(super) struct Lane {
    name: String,
    queue: Arc<Queue<Queued>>,
    database: Database,
    settings: JournalSettings,
    idempotency: Arc<dyn IdempotencyStore>,
    waker: FeedWaker,
    connection: Option<PooledClient>,
    unreachable_since: Option<Instant>,
    patience: Patience,
    /// Tenants whose newest appends have waited for a lock in vain.
    locked: HashSet<TenantId>,
}

/// With locks that others hold: all of the lane waits for what one append waits for.
#[derive(Clone, Copy, PartialEq)]
enum Patience {
    /// Longer than any transaction of a server takes.
    Usual,
    /// To find out who waits in vain, and with whom that is known already.
    Short,
}

impl Patience {
    fn setting(self) -> &'static str {
        match self {
            Patience::Usual => "lock_timeout = '2s'",
            Patience::Short => "lock_timeout = '100ms'",
        }
    }
}

/// A batch on its way, in parts.
struct Work {
    /// Still to be tried, the first one last.
    parts: Vec<Vec<Queued>>,
    /// What has to wait for the outcome of the others.
    deferred: Vec<Queued>,
    transient_left: u32,
    /// Something in it waits in vain.
    searching: bool,
    /// Who failed after a short wait, which may have met no more than another server's transaction.
    once_more: Option<TenantId>,
}

impl Lane {
    pub fn new(
        number: usize,
        queue: &Arc<Queue<Queued>>,
        database: &Database,
        settings: &JournalSettings,
        idempotency: &Arc<dyn IdempotencyStore>,
        waker: &FeedWaker,
    ) -> Lane {
        Lane {
            name: number.to_string(),
            queue: Arc::clone(queue),
            database: database.clone(),
            settings: settings.clone(),
            idempotency: Arc::clone(idempotency),
            waker: waker.clone(),
            connection: None,
            unreachable_since: None,
            patience: Patience::Usual,
            locked: HashSet::new(),
        }
    }

    /// Ends when the journal is dropped and the queue is empty.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(self.settings.batch_max);
        while !batch.is_empty() || self.queue.filled().await {
            let left = self.queue.take(&mut batch, self.settings.batch_max);
            #[allow(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!(names::JOURNAL_QUEUE_DEPTH.name, "lane" => self.name.clone()).set(left as f64);
            batch = self.commit(batch).await;
        }
    }

    /// Commits what can be; returns what has to wait for the outcome of these.
    async fn commit(&mut self, queued: Vec<Queued>) -> Vec<Queued> {
        if let Err(reason) = self.connect().await {
            fail_all(queued, &AppendError::Unavailable(reason));
            return Vec::new();
        }
        let mut work = Work {
            parts: vec![queued],
            deferred: Vec::new(),
            transient_left: TRANSIENT_RETRIES,
            searching: false,
            once_more: None,
        };
        while let Some(part) = work.parts.pop() {
            let (batch, part) = split_off(part, &mut work.deferred);
            if part.is_empty() {
                continue;
            }
            self.wait_for_locks(self.patience_with(&part, &work)).await;
            match self.transact(&part, &batch).await {
                Ok(committed) => self.committed(part, committed),
                Err(refused) => self.refused(refused, part, &mut work).await,
            }
        }
        work.deferred
    }

    fn patience_with(&self, part: &[Queued], work: &Work) -> Patience {
        if work.once_more.is_some_and(|tenant_id| part[0].append.tenant_id == tenant_id) {
            return Patience::Usual;
        }
        let is_locked = |queued: &Queued| self.locked.contains(&queued.append.tenant_id);
        let in_vain = work.searching || !self.locked.is_empty() && part.iter().any(is_locked);
        if in_vain { Patience::Short } else { Patience::Usual }
    }

    fn committed(&mut self, part: Vec<Queued>, committed: Committed) {
        let size = part.len();
        record_commit(&self.name, size);
        for queued in part {
            self.locked.remove(&queued.append.tenant_id);
            queued.span.record("lane", self.name.as_str()).record("batch_size", size);
            finish(queued, Ok(committed));
        }
        self.waker.committed();
    }

    /// Answers what is at fault; the rest goes back to work.
    async fn refused(&mut self, refused: Refused, part: Vec<Queued>, work: &mut Work) {
        match refused {
            Refused::Elsewhere { streams, customers } => work.parts.extend(fail_elsewhere(part, &streams, &customers)),
            Refused::StageEnded(tenants) => work.parts.extend(fail_at_other_stage(part, &tenants)),
            Refused::KeysTaken(keys) => work.parts.extend(self.answer_duplicates(part, &keys).await),
            Refused::Transient(_) if work.transient_left > 0 => {
                work.transient_left -= 1;
                work.parts.push(part);
            }
            Refused::Locked(reason) => {
                work.searching = true;
                match halved_by_tenant(part) {
                    (others, part) if others.is_empty() => self.waited_in_vain(part, reason, work),
                    (first, second) => work.parts.extend([second, first]),
                }
            }
            Refused::Faulty(_) | Refused::RowInTheWay | Refused::RowChanged(_) | Refused::Erased if part.len() > 1 => {
                let mut first = part;
                let second = first.split_off(first.len() / 2);
                work.parts.extend([second, first]);
            }
            Refused::Faulty(reason) => {
                tracing::error!(lane = self.name, %reason, "an append was rejected by the database");
                fail_all(part, &AppendError::Rejected(reason));
            }
            Refused::RowInTheWay => fail_all(part, &AppendError::RowInTheWay),
            Refused::RowChanged(reason) => {
                tracing::warn!(lane = self.name, %reason, "other software has changed what events are about, or a rule of the database refuses them");
                fail_all(part, &AppendError::RowChanged);
            }
            Refused::Erased => fail_all(part, &AppendError::CustomerMoved),
            Refused::Transient(reason) | Refused::Unavailable(reason) => {
                fail_all(part, &AppendError::Unavailable(reason));
            }
            Refused::Lost(reason) => {
                tracing::warn!(lane = self.name, %reason, "the connection went away during a commit");
                self.connection = None;
                fail_all(part, &AppendError::Unknown(reason.clone()));
                // The rest was never sent.
                work.parts.drain(..).for_each(|part| fail_all(part, &AppendError::Unavailable(reason.clone())));
            }
        }
    }

    /// `part` is of one tenant.
    fn waited_in_vain(&mut self, part: Vec<Queued>, reason: String, work: &mut Work) {
        let tenant_id = part[0].append.tenant_id;
        if self.patience == Patience::Short && !self.locked.contains(&tenant_id) {
            work.once_more = Some(tenant_id);
            work.parts.push(part);
            return;
        }
        tracing::warn!(lane = self.name, %tenant_id, %reason, "a tenant's appends wait for a lock in vain");
        self.locked.insert(tenant_id);
        fail_all(part, &AppendError::Unavailable(reason));
    }

    async fn wait_for_locks(&mut self, patience: Patience) {
        let Some(client) = self.connection.as_mut().filter(|_| self.patience != patience) else { return };
        // Should it fail, the next append will.
        if client.set(patience.setting()).await.is_ok() {
            self.patience = patience;
        }
    }

    async fn connect(&mut self) -> Result<(), String> {
        if self.connection.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        // While the database is away, a try per pause: callers get their answer at once meanwhile.
        if self.unreachable_since.is_some_and(|since| since.elapsed() < self.settings.reconnect_pause) {
            return Err("the database can't be reached".to_owned());
        }
        let connecting = async {
            let mut client = self.database.connect(DatabaseRole::Journal).await?;
            client.set(Patience::Usual.setting()).await?;
            Ok::<_, tokio_postgres::Error>(client)
        };
        match connecting.await {
            Ok(connection) => {
                self.connection = Some(connection);
                self.patience = Patience::Usual;
                self.unreachable_since = None;
                Ok(())
            }
            Err(error) => {
                self.connection = None;
                self.unreachable_since = Some(Instant::now());
                Err(described(&error))
            }
        }
    }

    async fn transact(&self, part: &[Queued], batch: &Batch) -> Result<Committed, Refused> {
        let appends: Vec<&Append> = part.iter().map(|queued| &queued.append).collect();
        let columns = Columns::of(&appends, batch);
        let client = self.connection.as_ref().expect("connected before");
        let append: Vec<_> = columns.params().into_iter().zip(TYPES).collect();
        let rows = Rows::of(&appends, batch);
        let started = Instant::now();
        let answered = match rows.arguments(&columns) {
            None => client.query_prepared(STATEMENT, &append).await,
            Some(rows) => client.query_with((STATEMENT, &append), (rows::STATEMENT.as_str(), &rows)).await,
        };
        let answered = answered.map_err(|error| Refused::of(&error, &columns))?;
        let row = answered.first().expect("the function returns a row");
        metrics::histogram!(names::JOURNAL_COMMIT.name, "lane" => self.name.clone())
            .record(started.elapsed().as_secs_f64());
        let transaction_id: &str = row.get(0);
        let PgTime(recorded_at) = row.get(1);
        let transaction_id = transaction_id.parse().expect("Postgres writes an xid8 as a number");
        Ok(Committed { transaction_id, recorded_at })
    }

    /// Replays the stored answers of keys that are taken; returns what may be tried again without them.
    async fn answer_duplicates(&self, part: Vec<Queued>, keys: &str) -> Option<Vec<Queued>> {
        let owners: Vec<usize> = parse_numbers(keys).collect();
        if owners.is_empty() {
            fail_all(part, &AppendError::Conflict);
            return None;
        }
        let appends: Vec<&Append> = part.iter().map(|queued| &queued.append).collect();
        let blamed = blamed(&appends, Default::default(), |index| owners.contains(&index));
        let mut rest = Vec::with_capacity(part.len());
        for (index, queued) in part.into_iter().enumerate() {
            if !blamed.contains(&index) {
                rest.push(queued);
            } else if owners.contains(&index) {
                let error = self.stored(&queued.append).await;
                finish(queued, Err(error));
            } else {
                finish(queued, Err(AppendError::Conflict));
            }
        }
        Some(rest)
    }

    async fn stored(&self, append: &Append) -> AppendError {
        let Some(record) = &append.idempotency else { return AppendError::Conflict };
        match self.idempotency.committed(append.tenant_id, &record.key).await {
            Ok(Some(stored)) => AppendError::Duplicate(stored),
            // Forgotten between the two statements, after days: whoever asked can ask again.
            Ok(None) => AppendError::Conflict,
            Err(away) => AppendError::Unavailable(away.to_string()),
        }
    }
}

impl Drop for Lane {
    /// Whatever ends it: nobody must wait for a lane that is gone.
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Makes a batch of what goes together; what conflicts within it is answered, what must wait is put aside.
fn split_off(part: Vec<Queued>, deferred: &mut Vec<Queued>) -> (Batch, Vec<Queued>) {
    let appends: Vec<&Append> = part.iter().map(|queued| &queued.append).collect();
    let batch = Batch::of(&appends);
    if batch.taken.len() == part.len() {
        return (batch, part);
    }
    let mut taken = Vec::with_capacity(batch.taken.len());
    for (index, queued) in part.into_iter().enumerate() {
        if batch.conflicting.contains(&index) {
            finish(queued, Err(AppendError::Conflict));
        } else if batch.deferred.contains(&index) {
            deferred.push(queued);
        } else {
            taken.push(queued);
        }
    }
    // Anew, because the batch counts appends by their place.
    let appends: Vec<&Append> = taken.iter().map(|queued| &queued.append).collect();
    (Batch::of(&appends), taken)
}

/// The first half is empty when all is of one tenant.
fn halved_by_tenant(part: Vec<Queued>) -> (Vec<Queued>, Vec<Queued>) {
    let mut tenants: Vec<TenantId> = part.iter().map(|queued| queued.append.tenant_id).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let middle = tenants[tenants.len() / 2];
    part.into_iter().partition(|queued| queued.append.tenant_id < middle)
}

fn fail_elsewhere(part: Vec<Queued>, streams: &str, customers: &str) -> Option<Vec<Queued>> {
    let appends: Vec<&Append> = part.iter().map(|queued| &queued.append).collect();
    let owners: Vec<usize> = parse_numbers(customers).collect();
    let bad = Batch::of(&appends).numbered(streams);
    let blamed = blamed(&appends, bad, |index| owners.contains(&index));
    if blamed.is_empty() {
        // It can't be told whose fault it was; all decide again.
        fail_all(part, &AppendError::Conflict);
        return None;
    }
    let mut rest = Vec::with_capacity(part.len());
    for (index, queued) in part.into_iter().enumerate() {
        if owners.contains(&index) {
            finish(queued, Err(AppendError::CustomerMoved));
        } else if blamed.contains(&index) {
            finish(queued, Err(AppendError::Conflict));
        } else {
            rest.push(queued);
        }
    }
    Some(rest)
}

fn fail_at_other_stage(part: Vec<Queued>, tenants: &str) -> Option<Vec<Queued>> {
    let named: HashSet<&str> = tenants.split(',').collect();
    let is_named = |queued: &Queued| named.contains(queued.append.tenant_id.to_string().as_str());
    let (ended, rest): (Vec<Queued>, Vec<Queued>) = part.into_iter().partition(is_named);
    if ended.is_empty() {
        fail_all(rest, &AppendError::StageEnded);
        return None;
    }
    fail_all(ended, &AppendError::StageEnded);
    Some(rest)
}

fn fail_all(part: Vec<Queued>, error: &AppendError) {
    for queued in part {
        finish(queued, Err(error.clone()));
    }
}

/// Tells whoever submitted it what became of an append.
fn finish(queued: Queued, result: Result<Committed, AppendError>) {
    let outcome = match &result {
        Ok(_) => "committed",
        Err(AppendError::Conflict | AppendError::CustomerMoved) => "conflict",
        Err(AppendError::Duplicate(_)) => "duplicate",
        Err(AppendError::StageEnded) => "stage_ended",
        Err(AppendError::Rejected(_) | AppendError::RowInTheWay | AppendError::RowChanged) => "rejected",
        Err(AppendError::QueueFull | AppendError::Unavailable(_)) => "unavailable",
        Err(AppendError::Unknown(_)) => "unknown",
    };
    metrics::counter!(names::JOURNAL_APPENDS.name, "outcome" => outcome).increment(1);
    queued.span.record("outcome", outcome);
    // The span ends before the answer goes out.
    drop(queued.span);
    (queued.done)(result);
}

fn record_commit(lane: &str, appends: usize) {
    #[allow(clippy::cast_precision_loss, reason = "a histogram")]
    metrics::histogram!(names::JOURNAL_BATCH_SIZE.name, "lane" => lane.to_owned()).record(appends as f64);
}
