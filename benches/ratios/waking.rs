//! Waking an aggregate with a million events behind it, against one with a hundred.

use std::time::{Duration, Instant};

use codeccloud::postgres::PostgresSnapshots;
use codeccloud_actors::aggregate::Context;
use codeccloud_actors::aggregates::staff_utilisation::{ReleaseReason, StaffCommand};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{BookingId, StaffId};
use codeccloud_actors::runtime::Runtime;
use codeccloud_actors::testing::{context, salon, slot, staff_member};
use tokio_postgres::Client;
use uuid::Uuid;

use super::database::{self, BenchDatabase};
use super::hot_stream::submission;
use super::table::{Bar, Rounds, Table, median};

const SAMPLES: usize = 40;
const ROUNDS: usize = 5;
/// Events since the snapshot: half of what is ever between two of them.
const TAIL: i32 = 50;

const OLD: StaffId = StaffId(Uuid::from_u128(0x1_000_000));
const YOUNG: StaffId = StaffId(Uuid::from_u128(0x100));

pub async fn measure(table: &mut Table) {
    let database = BenchDatabase::create().await;
    let client = database.superuser().await;
    database.retire(&[salon().tenant_id.0]).await;
    let mut reference = salon();
    reference.staff.extend([OLD, YOUNG].map(|id| (id, staff_member(id))));
    let context = context(reference);
    let (runtime, snapshots) = database::runtime(&database::database(&database.url()));
    for (person, events) in [(OLD, 1_000_000), (YOUNG, 100)] {
        append(&client, &context, person, 1, events - TAIL).await;
        // Folds all of it, once; letting go of it leaves a snapshot.
        let began = Instant::now();
        wake(&runtime, &context, person).await;
        eprintln!("{} events folded in {:.1} s", events - TAIL, began.elapsed().as_secs_f64());
        let_go(&runtime, &snapshots).await;
        append(&client, &context, person, events - TAIL + 1, events).await;
    }
    client.batch_execute("vacuum analyze event_store").await.expect("as the server's own upkeep would");
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let (mut old, mut young) = (Vec::new(), Vec::new());
        for _ in 0..SAMPLES {
            old.push(wake(&runtime, &context, OLD).await);
            young.push(wake(&runtime, &context, YOUNG).await);
            forget(&runtime).await;
        }
        rounds.push(median(&old), median(&young));
    }
    table.compare("waking 1,000,000 events or 100", "ms", &rounds, Bar::RatioAtMost(1.5));
    drop(runtime);
    database.stop().await;
}

/// A command that is refused, and whose refusal nobody stores: what is left is the waking. In milliseconds.
async fn wake(runtime: &Runtime, context: &Context, person: StaffId) -> f64 {
    let release = StaffCommand::Release {
        staff_id: person,
        booking_id: BookingId(Uuid::from_u128(0xDEAD)),
        slot: slot("2031-06-02T09:00:00+02:00", 60),
        reason: ReleaseReason::Cancelled,
    };
    let began = Instant::now();
    let submission = submission(Command::StaffUtilisation(person, release), context);
    runtime.execute(submission).await.expect("answered");
    began.elapsed().as_secs_f64() * 1e3
}

async fn let_go(runtime: &Runtime, snapshots: &PostgresSnapshots) {
    forget(runtime).await;
    snapshots.flush(Duration::from_secs(10)).await;
}

async fn forget(runtime: &Runtime) {
    runtime.passivate_all();
    while runtime.active_actors() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Reserves a slot and releases it, again and again: written past the append function, which would take minutes.
async fn append(client: &Client, context: &Context, person: StaffId, first: i32, last: i32) {
    let (tenant, person) = (context.reference.tenant_id.0, person.0);
    let sql = format!(
        "insert into event_store (
            id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, occurred_at, cluster_id,
            recorded_at, schema_version, metadata
        )
        select gen_random_uuid(), '{tenant}', 'staff_utilisation', '{person}',
            case n % 2 when 1 then 'slot_reserved' else 'slot_released' end, n,
            case n % 2 when 1 then jsonb_build_object(
                'booking_id', booking, 'service_id', booking, 'slot', slot, 'buffer_before_minutes', 0,
                'buffer_after_minutes', 0, 'days', day(60)
            ) else jsonb_build_object('booking_id', booking, 'slot', slot, 'reason', 'cancelled', 'days', day(0)) end,
            now(), app_private.cluster_id(), now(), 1, '{{\"origin\":\"actor\"}}'
        from generate_series({first}, {last}) n, lateral (
            select ('00000000-0000-7000-8000-' || lpad(to_hex((n + 1) / 2), 12, '0'))::uuid as booking,
                date '2030-01-01' + (n / 2) % 300 as date
        ) p, lateral (
            select jsonb_build_object('start', date || 'T09:00:00.000Z', 'end', date || 'T10:00:00.000Z') as slot
        ) s"
    );
    let sql = ["60", "0"].iter().fold(sql, |sql, minutes| {
        sql.replace(
            &format!("day({minutes})"),
            &format!(
                "jsonb_build_array(jsonb_build_object('date', date, 'booked_minutes', {minutes}, 'working_minutes', 540))"
            ),
        )
    });
    client.batch_execute(&sql).await.expect("written");
    let head = format!(
        "insert into stream_heads
         select tenant_id, aggregate_type, aggregate_id, {last}, {first} - 1, now(), now(), id
         from event_store where tenant_id = '{tenant}' and aggregate_id = '{person}' and version = {last}
         on conflict (tenant_id, aggregate_type, aggregate_id) do update
         set version = excluded.version, previous_version = excluded.previous_version, last_recorded_at = now(),
             last_event_id = excluded.last_event_id"
    );
    client.batch_execute(&head).await.expect("written");
}
