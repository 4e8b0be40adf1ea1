//! The audit log: append-only, sealed behind the writers, and what is done to it all the same is found and named.

mod adopted;
mod concurrency;
mod elsewhere;
mod hosted;
pub mod operators;
mod tampering;

use std::path::PathBuf;
use std::time::Duration;

use codeccloud::audit::{Anchor, Finding, SealKey, SealKeys, Summary};
use codeccloud::postgres::audit::{Sealed, Sealer, SealerSettings, verify};
use codeccloud::postgres::{Client, DatabaseRole};
use uuid::{Uuid, uuid};

use crate::support::Database;

const TENANT: Uuid = uuid!("00000000-0000-4000-8000-00000000000a");

/// What past owners of the table, and superusers, could do at any time.
const UNGUARD: &str = "alter table audit_log disable trigger all; alter table audit_seals disable trigger all";

const REGUARD: &str = "alter table audit_log enable always trigger refuse_audit_change;
    alter table audit_seals enable always trigger refuse_audit_change";

fn keys() -> SealKeys {
    SealKeys::new(SealKey::new("1", &[1; 32]), vec![]).unwrap()
}

fn sealer(database: &Database, keys: SealKeys) -> Sealer {
    let settings = SealerSettings { keys, every: Duration::from_millis(20), anchor: PathBuf::from("/proc/nowhere") };
    Sealer::new(database.database(), settings)
}

/// Steps until nothing is left to be sealed; returns how many entries that were.
async fn seal_all(database: &Database, keys: SealKeys) -> usize {
    let sealer = sealer(database, keys);
    let mut client = database.database().connect(DatabaseRole::Sealer).await.unwrap();
    let mut sealed = 0;
    while let Sealed::Entries(count) = sealer.step(&mut client).await.unwrap() {
        sealed += count;
    }
    sealed
}

async fn verified(database: &Database, keys: &SealKeys, anchor: Option<&Anchor>) -> (Summary, Vec<Finding>) {
    let mut client = database.database().connect(DatabaseRole::Sealer).await.unwrap();
    let mut findings = Vec::new();
    let summary = verify(&mut client, keys, anchor, |finding| findings.push(finding), |_| {}).await.unwrap();
    (summary, findings)
}

async fn findings(database: &Database) -> Vec<Finding> {
    verified(database, &keys(), None).await.1
}

/// As the MVP's triggers write them.
async fn write(client: &Client, count: i32) {
    let sql = "insert into audit_log (tenant_id, event_type, entity, entity_id, after)
        select $1, 'insert', 'products', n::text, jsonb_build_object('id', n) from generate_series(1, $2) n";
    client.execute(sql, &[&TENANT, &count]).await.unwrap();
}

/// As there are before the sealer comes: nothing is known of their transactions.
async fn write_past(client: &Client, count: i32) {
    let sql = "insert into audit_log (tenant_id, event_type, entity, entity_id, after, transaction_id, cluster_id)
        select $1, 'insert', 'products', n::text, jsonb_build_object('id', n), null, null from generate_series(1, $2) n";
    client.execute(sql, &[&TENANT, &count]).await.unwrap();
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn newest(client: &Client) -> i64 {
    number(client, "select coalesce(max(number), 0) from audit_seals").await
}
