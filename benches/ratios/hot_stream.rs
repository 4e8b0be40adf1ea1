//! Appends to one hot stream: a person's calendar through its actor, against one commit per append.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use codeccloud::clock::SystemIds;
use codeccloud_actors::aggregates::staff_utilisation::{ReleaseReason, StaffCommand};
use codeccloud_actors::answer::{Answer, Response};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{BookingId, CommandId};
use codeccloud_actors::ports::Ids;
use codeccloud_actors::runtime::{Runtime, Submission};
use codeccloud_actors::testing::{ANNA, HAIRCUT, context, salon};
use codeccloud_actors::time::{Slot, Timestamp};
use tokio::task::JoinSet;
use tokio_postgres::Client;
use uuid::Uuid;

use super::bare_journal::TABLES;
use super::database::{self, BenchDatabase};
use super::table::{Bar, Rounds, Table};
use super::{ROUND, ROUNDS};

/// What the benchmark's PostgreSQL has room for, beside the runtime's own.
const CONNECTIONS_MAX: usize = 40;

/// 2031-06-02, nine o'clock in Zurich.
const FIRST_SLOT_MS: i64 = 1_938_150_000_000;

pub async fn measure(table: &mut Table) {
    let database = BenchDatabase::create().await;
    database.superuser().await.batch_execute(TABLES).await.expect("the tables are made");
    database.retire(&[salon().tenant_id.0]).await;
    let (runtime, _snapshots) = database::runtime(&database::database(&database.url()));
    for callers in [64, 256] {
        let mut rounds = Rounds::default();
        through_actor(&runtime, callers, Duration::from_millis(500)).await;
        for _ in 0..ROUNDS {
            let ours = through_actor(&runtime, callers, ROUND).await;
            rounds.push(
                ours,
                commit_each(&database, usize::try_from(callers).expect("small").min(CONNECTIONS_MAX)).await,
            );
        }
        table.compare(format!("hot stream, {callers} callers"), "appends/s", &rounds, Bar::RatioAtLeast(15.0));
    }
    drop(runtime);
    database.stop().await;
}

/// Each caller reserves a slot of its own and releases it, over and over.
async fn through_actor(runtime: &Runtime, callers: i64, length: Duration) -> f64 {
    let began = Instant::now();
    let appended = Arc::new(AtomicU64::new(0));
    let context = context(salon());
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let (runtime, appended, context) = (runtime.clone(), appended.clone(), context.clone());
        running.spawn(async move {
            let start = Timestamp::from_millis(FIRST_SLOT_MS).plus_minutes(caller * 60);
            let slot = Slot::new(start, start.plus_minutes(60)).expect("an hour");
            let mut count = 0;
            while began.elapsed() < length {
                let booking_id = BookingId(SystemIds.uuid());
                let (staff_id, service_id, reason) = (ANNA, HAIRCUT, ReleaseReason::Cancelled);
                for command in [
                    StaffCommand::Reserve { staff_id, booking_id, service_id, slot },
                    StaffCommand::Release { staff_id, booking_id, slot, reason },
                ] {
                    let submission = submission(Command::StaffUtilisation(ANNA, command), &context);
                    let executed = runtime.execute(submission).await.expect("commits");
                    assert_eq!(executed.answer.status, 200, "nothing is refused");
                    count += 1;
                }
            }
            appended.fetch_add(count, Ordering::Relaxed);
        });
    }
    while let Some(caller) = running.join_next().await {
        caller.expect("no caller panics");
    }
    appended.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

pub fn submission(command: Command, context: &codeccloud_actors::aggregate::Context) -> Submission {
    Submission {
        tenant_id: context.reference.tenant_id,
        command,
        precondition: None,
        context: context.clone(),
        command_id: CommandId(SystemIds.uuid()),
        key: None,
        metadata: Bytes::from_static(br#"{"origin":"actor"}"#),
        sealed: Vec::new(),
        respond: Arc::new(|verdict| {
            let refused = matches!(verdict, codeccloud_actors::answer::Verdict::Refused(_));
            let answer = Answer { status: if refused { 409 } else { 200 }, body: Bytes::new(), version: None };
            Response { answer, record: None }
        }),
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

/// The head moves and the event goes with it, in one statement that is one transaction.
const APPEND: &str = "
    with moved as (
        insert into bare.stream_heads as h (
            tenant_id, aggregate_type, aggregate_id, version, previous_version, last_event_id, first_recorded_at,
            last_recorded_at
        ) values ($1, 'staff_utilisation', $1, 1, 0, $2, now(), now())
        on conflict (tenant_id, aggregate_type, aggregate_id) do update
            set version = h.version + 1, previous_version = h.version, last_event_id = excluded.last_event_id,
                previous_event_id = h.last_event_id, last_recorded_at = now()
        returning version
    )
    insert into bare.event_store (
        id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, occurred_at, cluster_id, recorded_at,
        schema_version, metadata
    )
    select $2, $1, 'staff_utilisation', $1, 'slot_released', version, $3::text::jsonb, now(), 1, now(), 1,
        '{\"origin\":\"actor\"}'
    from moved";

const PAYLOAD: &str = r#"{"booking_id":"019a1e5c-7d14-7a3e-9a55-3f1f2f6f0a11","slot":{"start":"2031-06-02T07:00:00.000Z","end":"2031-06-02T08:00:00.000Z"},"reason":"cancelled","days":[{"date":"2031-06-02","booked_minutes":60,"working_minutes":1440}]}"#;

async fn commit_each(database: &BenchDatabase, clients: usize) -> f64 {
    let stream = SystemIds.uuid();
    let mut connections: Vec<Client> = Vec::new();
    for _ in 0..clients {
        connections.push(database.superuser().await);
    }
    let began = Instant::now();
    let mut running = JoinSet::new();
    for client in connections {
        running.spawn(append_until(client, stream, began));
    }
    let mut appended = 0;
    while let Some(count) = running.join_next().await {
        appended += count.expect("no client panics");
    }
    f64::from(appended) / began.elapsed().as_secs_f64()
}

async fn append_until(client: Client, stream: Uuid, began: Instant) -> u32 {
    let statement = client.prepare(APPEND).await.expect("valid");
    let mut count = 0;
    while began.elapsed() < ROUND / 2 {
        client.execute(&statement, &[&stream, &SystemIds.uuid(), &PAYLOAD]).await.expect("commits");
        count += 1;
    }
    count
}
