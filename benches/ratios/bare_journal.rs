//! Group commit with nothing around it: callers queue rows, and a connection per lane sends what has queued as one
//! statement. The rows, their indexes and the head check are the event store's; there are no roles, policies, function,
//! partitions or triggers.

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::database::BenchDatabase;

pub const TABLES: &str = "
    drop schema if exists bare cascade;
    create schema bare;
    create table bare.event_store (like event_store including all);
    create table bare.stream_heads (like stream_heads including all);
    create table bare.saga_instances (like saga_instances including all);
    create table bare.idempotency_keys (like idempotency_keys including all);
    create table bare.vault_customers (like vault_customers including defaults including indexes);
    create table bare.vault_notes (like vault_notes including defaults including indexes);
    analyze bare.event_store, bare.stream_heads;
";

/// Fails as a whole unless every head stands where it is expected.
pub const MOVE_HEADS: &str = "
    with moved as (
        insert into bare.stream_heads as h (
            tenant_id, aggregate_type, aggregate_id, version, previous_version, last_event_id, previous_event_id,
            first_recorded_at, last_recorded_at
        )
        select t, k, i, v, e, l, p, now(), now()
        from unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::int[], $6::uuid[], $7::uuid[])
            as s (t, k, i, e, v, p, l)
        order by t, k, i
        on conflict (tenant_id, aggregate_type, aggregate_id) do update
            set version = excluded.version, previous_version = excluded.previous_version,
                last_event_id = excluded.last_event_id, previous_event_id = excluded.previous_event_id,
                last_recorded_at = now()
            where h.version = excluded.previous_version and h.last_event_id = excluded.previous_event_id
        returning 1
    )
    select 1 / (count(*) = cardinality($1::uuid[]))::int from moved";

const INSERT_EVENTS: &str = "
    insert into bare.event_store (
        id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, occurred_at, cluster_id, recorded_at,
        schema_version, metadata
    )
    select i, t, k, a, 'booking_confirmed', v, p, now(), 1, now(), 1, m
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::int[], $6::jsonb[], $7::jsonb[])
        as e (i, t, k, a, v, p, m)";

/// One event that waits to be committed.
pub struct Queued {
    pub tenant_id: Uuid,
    pub stream: Uuid,
    pub event_id: Uuid,
    pub version: i32,
    /// The event before it on its stream.
    pub previous: Option<Uuid>,
    pub done: oneshot::Sender<()>,
}

#[derive(Clone)]
pub struct BareJournal {
    lanes: Vec<mpsc::Sender<Queued>>,
}

impl BareJournal {
    pub async fn start(database: &BenchDatabase, payload: &str, metadata: &str) -> BareJournal {
        let mut lanes = Vec::new();
        for _ in 0..2 {
            let (sender, receiver) = mpsc::channel(8_192);
            let client = database.superuser().await;
            let move_heads = client.prepare(MOVE_HEADS).await.expect("valid");
            let insert_events = client.prepare(INSERT_EVENTS).await.expect("valid");
            let json = |text: &str| serde_json::from_str(text).expect("JSON");
            let lane = Lane { client, move_heads, insert_events, payload: json(payload), metadata: json(metadata) };
            tokio::spawn(lane.run(receiver));
            lanes.push(sender);
        }
        BareJournal { lanes }
    }

    /// The append is committed when the sender of `queued` is told.
    pub async fn append(&self, lane: usize, queued: Queued) {
        self.lanes[lane % self.lanes.len()].send(queued).await.expect("the lane runs");
    }
}

struct Lane {
    client: Client,
    move_heads: Statement,
    insert_events: Statement,
    payload: Box<serde_json::value::RawValue>,
    metadata: Box<serde_json::value::RawValue>,
}

impl Lane {
    async fn run(self, mut queue: mpsc::Receiver<Queued>) {
        let mut batch = Vec::with_capacity(512);
        while queue.recv_many(&mut batch, 512).await > 0 {
            self.commit(&batch).await;
            batch.drain(..).for_each(|queued| {
                let _ = queued.done.send(());
            });
        }
    }

    /// All in one round trip: the driver pipelines what is polled together.
    async fn commit(&self, batch: &[Queued]) {
        let tenants: Vec<Uuid> = batch.iter().map(|queued| queued.tenant_id).collect();
        let kinds = vec!["booking"; batch.len()];
        let streams: Vec<Uuid> = batch.iter().map(|queued| queued.stream).collect();
        let ids: Vec<Uuid> = batch.iter().map(|queued| queued.event_id).collect();
        let versions: Vec<i32> = batch.iter().map(|queued| queued.version).collect();
        let expected: Vec<i32> = versions.iter().map(|version| version - 1).collect();
        let previous: Vec<Option<Uuid>> = batch.iter().map(|queued| queued.previous).collect();
        let payloads: Vec<_> = batch.iter().map(|_| Json(&self.payload)).collect();
        let metadata: Vec<_> = batch.iter().map(|_| Json(&self.metadata)).collect();
        let client = &self.client;
        let heads: [&(dyn ToSql + Sync); 7] = [&tenants, &kinds, &streams, &expected, &versions, &previous, &ids];
        let events: [&(dyn ToSql + Sync); 7] = [&ids, &tenants, &kinds, &streams, &versions, &payloads, &metadata];
        let (begun, heads, events, committed) = tokio::join!(
            client.batch_execute("begin"),
            client.query(&self.move_heads, &heads),
            client.execute(&self.insert_events, &events),
            client.batch_execute("commit"),
        );
        begun.expect("begins");
        heads.expect("every head stands where it is expected");
        events.expect("the rows are valid");
        committed.expect("commits");
    }
}
