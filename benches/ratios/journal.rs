//! One-event appends: through the journal, against bare group commit of the same rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use codeccloud::clock::SystemIds;
use codeccloud::postgres::PostgresJournal;
use codeccloud_actors::ids::{AggregateType, CommandId, EventId, StreamId, TenantId};
use codeccloud_actors::ports::{Append, Head, Ids, Journal, NewEvent, StreamAppend};
use codeccloud_actors::time::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::bare_journal::{BareJournal, Queued, TABLES};
use super::database::{self, BenchDatabase};
use super::table::{Bar, Rounds, Table};
use super::{ROUND, ROUNDS};

/// About 400 bytes together, as an event of a booking has them.
const PAYLOAD: &str = r#"{"booking_id":"019a1e5c-7d14-7a3e-9a55-3f1f2f6f0a11","service_id":"019a1e5c-7d14-7a3e-9a55-3f1f2f6f0a12","slot":{"start":"2031-06-02T07:00:00Z","end":"2031-06-02T08:00:00Z"}}"#;
const METADATA: &str = r#"{"origin":"actor","command_id":"019a1e5c-7d14-7a3e-9a55-3f1f2f6f0a13","node_id":"019a1e5c-7d14-7a3e-9a55-3f1f2f6f0a14","source":"rest","request_id":"019a1e5c-7d14-7a3e-9a55-3f1f2f6f0a15"}"#;

const TENANTS: u128 = 16;

pub async fn measure(table: &mut Table) {
    let database = BenchDatabase::create().await;
    database.superuser().await.batch_execute(TABLES).await.expect("the tables are made");
    database.retire(&(0..TENANTS).map(tenant).collect::<Vec<_>>()).await;
    let journal = Arc::new(database::journal(&database::database(&database.url())));
    let bare = BareJournal::start(&database, PAYLOAD, METADATA).await;
    for callers in [64, 256] {
        // Statistics, plans and files as they are in the middle of a day.
        through_journal(&journal, callers, Duration::from_millis(500)).await;
        through_bare(&bare, callers, Duration::from_millis(500)).await;
        let mut rounds = Rounds::default();
        for _ in 0..ROUNDS {
            let ours = through_journal(&journal, callers, ROUND).await;
            let theirs = through_bare(&bare, callers, ROUND).await;
            rounds.push(ours, theirs);
        }
        table.compare(format!("journal, {callers} callers"), "appends/s", &rounds, Bar::RatioAtLeast(0.7));
    }
    drop(journal);
    database.stop().await;
}

async fn through_journal(journal: &Arc<PostgresJournal>, callers: u128, length: Duration) -> f64 {
    let journal = journal.clone();
    per_second(callers, length, move |caller| {
        let (journal, stream) = (journal.clone(), SystemIds.uuid());
        let tenant_id = tenant(caller);
        let mut head = Head::NONE;
        move |_| {
            let (sender, committed) = oneshot::channel();
            let append = append(tenant_id, stream, head);
            head = append.streams[0].head();
            journal.submit(append, Box::new(move |result| drop(sender.send(result))));
            async move {
                committed.await.expect("the lane runs").expect("the append is valid");
            }
        }
    })
    .await
}

async fn through_bare(bare: &BareJournal, callers: u128, length: Duration) -> f64 {
    let bare = bare.clone();
    per_second(callers, length, move |caller| {
        let (bare, stream) = (bare.clone(), SystemIds.uuid());
        let lane = usize::try_from(caller % TENANTS).expect("small");
        let mut previous = None;
        move |version: u32| {
            let (bare, event_id) = (bare.clone(), SystemIds.uuid());
            let (done, committed) = oneshot::channel();
            let version = i32::try_from(version + 1).expect("a short run");
            let previous = previous.replace(event_id);
            let queued = Queued { tenant_id: tenant(caller), stream, event_id, version, previous, done };
            async move {
                bare.append(lane, queued).await;
                committed.await.expect("the batch commits");
            }
        }
    })
    .await
}

/// Each caller has a stream of its own and goes on with it as soon as its last append is committed.
async fn per_second<S, F>(callers: u128, length: Duration, start: impl Fn(u128) -> S) -> f64
where
    S: FnMut(u32) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let began = Instant::now();
    let appended = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let (mut append, appended) = (start(caller), appended.clone());
        running.spawn(async move {
            let mut version = 0;
            while began.elapsed() < length {
                append(version).await;
                version += 1;
            }
            appended.fetch_add(u64::from(version), Ordering::Relaxed);
        });
    }
    while let Some(caller) = running.join_next().await {
        caller.expect("no caller panics");
    }
    appended.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn tenant(caller: u128) -> Uuid {
    Uuid::from_u128(0x7E_0000 + caller % TENANTS)
}

fn append(tenant_id: Uuid, stream: Uuid, expected: Head) -> Append {
    let tenant_id = TenantId(tenant_id);
    let event = NewEvent {
        event_id: EventId(SystemIds.uuid()),
        event_type: "booking_confirmed",
        schema_version: 1,
        payload: PAYLOAD.into(),
        occurred_at: Timestamp::from_millis(1_900_000_000_000),
    };
    let stream = StreamId { tenant_id, aggregate_type: AggregateType::Booking, aggregate_id: stream };
    Append {
        tenant_id,
        command_id: CommandId(SystemIds.uuid()),
        metadata: METADATA.into(),
        streams: vec![StreamAppend { stream, expected, events: vec![event] }],
        idempotency: None,
        sagas: Vec::new(),
        sealed: Vec::new(),
        rows: Vec::new(),
    }
}
