//! Transactions that end late, writers who don't wait, and sealers that take turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use codeccloud::postgres::DatabaseRole;
use codeccloud::postgres::audit::Sealed;
use tokio_postgres::types::Type;

use super::{TENANT, findings, keys, number, seal_all, sealer, verified, write, write_past};
use crate::support::Database;

#[tokio::test]
async fn what_commits_late_is_sealed_then_and_nothing_is_reported_falsely() {
    let database = Database::create().await;
    let (early, late, writer) = (database.superuser().await, database.superuser().await, database.superuser().await);
    // An id that is taken before the others, by a transaction that begins to write only after these are sealed.
    let low = number(&early, "select nextval('audit_log_id_seq')").await;
    write(&writer, 10).await;
    assert_eq!(seal_all(&database, keys()).await, 10);
    early.batch_execute("begin").await.unwrap();
    let sql = "insert into audit_log (id, tenant_id, event_type, entity) values ($1, $2, 'update', 'products')";
    early.execute(sql, &[&low, &TENANT]).await.unwrap();
    // And one that has written, and stays open while others commit.
    late.batch_execute("begin").await.unwrap();
    write(&late, 1).await;
    write(&writer, 10).await;
    assert_eq!(seal_all(&database, keys()).await, 0, "the open transactions are older");
    assert_eq!(verified(&database, &keys(), None).await.0.unsealed, 10);
    early.batch_execute("commit").await.unwrap();
    assert_eq!(seal_all(&database, keys()).await, 1, "the low id alone");
    assert_eq!(findings(&database).await, []);
    late.batch_execute("commit").await.unwrap();
    assert_eq!(seal_all(&database, keys()).await, 11);
    let (summary, found) = verified(&database, &keys(), None).await;
    assert_eq!((summary.entries, summary.unsealed, found), (22, 0, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_never_wait_for_the_sealers_and_these_take_turns() {
    let database = Database::create().await;
    let done = Arc::new(AtomicBool::new(false));
    write_past(&database.superuser().await, 5_000).await;
    let mut writers = Vec::new();
    for _ in 0..4 {
        let (client, done) = (database.superuser().await, done.clone());
        writers.push(tokio::spawn(async move {
            client.batch_execute("set lock_timeout = '100ms'").await.unwrap();
            let mut written = 0;
            while !done.load(Ordering::Relaxed) {
                write(&client, 3).await;
                written += 3;
            }
            written
        }));
    }
    let mut sealers = Vec::new();
    for _ in 0..3 {
        tokio::spawn(sealer(&database, keys()).run());
        let mut client = database.database().connect(DatabaseRole::Sealer).await.unwrap();
        let (sealer, done) = (sealer(&database, keys()), done.clone());
        sealers.push(tokio::spawn(async move {
            let mut sealed = 0;
            while !done.load(Ordering::Relaxed) {
                if let Sealed::Entries(count) = sealer.step(&mut client).await.unwrap() {
                    sealed += count;
                }
            }
            sealed
        }));
    }
    let watcher = database.superuser().await;
    // Writers wait for each other where the table grows.
    let waits = "select count(*) from pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) holder
        join pg_stat_activity h on h.pid = holder where a.query like 'insert into audit_log%'
            and h.query not like 'insert into audit_log%'";
    for _ in 0..200 {
        assert_eq!(number(&watcher, waits).await, 0);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    done.store(true, Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    let mut sealed = 0;
    for sealer in sealers {
        sealed += sealer.await.unwrap();
    }
    assert!(written > 100 && sealed > 100, "{written} written, {sealed} sealed");
    while number(&watcher, "select count(*) from audit_log").await
        > i64::try_from(verified(&database, &keys(), None).await.0.entries).unwrap()
    {
        seal_all(&database, keys()).await;
    }
    let (summary, found) = verified(&database, &keys(), None).await;
    assert_eq!((summary.entries, found), (5_000 + written, vec![]));
}

/// However long a sealer takes, its transaction holds nothing that a writer asks for.
#[tokio::test]
async fn a_sealer_that_hangs_holds_up_nobody() {
    let database = Database::create().await;
    let (writer, hanging) = (database.superuser().await, database.owner().await);
    write(&writer, 3).await;
    hanging.batch_execute("set role codeccloud_sealer; begin").await.unwrap();
    let all = "select pg_advisory_xact_lock(7165055918792729953), count(*) from audit_log";
    assert_eq!(hanging.query_typed(all, &[]).await.unwrap()[0].get::<_, i64>(1), 3);
    let seal = "insert into audit_seals values (1, 0, '0', 0, '0', 0, '', '1', now(), '', $1)";
    hanging.execute_typed(seal, &[(&b"".as_slice(), Type::BYTEA)]).await.unwrap();
    writer.batch_execute("set lock_timeout = '100ms'").await.unwrap();
    write(&writer, 3).await;
    writer.batch_execute("insert into tenants (slug, name) values ('x', 'X')").await.unwrap();
    let mut other = database.database().connect(DatabaseRole::Sealer).await.unwrap();
    assert_eq!(sealer(&database, keys()).step(&mut other).await.unwrap(), Sealed::ByAnother);
    hanging.batch_execute("rollback").await.unwrap();
    assert_eq!(seal_all(&database, keys()).await, 6);
}
