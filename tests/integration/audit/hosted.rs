//! On a platform that bounds what its databases do, and with a note that can't be relied on.

use std::time::Duration;

use codeccloud::audit::Anchor;
use codeccloud::postgres::DatabaseRole;
use codeccloud::postgres::audit::{Sealer, SealerSettings, export};
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::time::Timestamp;

use super::operators::until;
use super::{TENANT, keys, newest, number, seal_all, sealer, verified, write, write_past};
use crate::support::{Database, TestDir};

const INDEX: &str = "select count(*) from pg_index
    where indexrelid = to_regclass('audit_log_by_transaction') and indisvalid";

/// What takes longer than the platform allows must not be begun anew for ever.
#[tokio::test(flavor = "multi_thread")]
async fn sealing_begins_whatever_bounds_the_platform_sets() {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    write_past(&superuser, 100).await;
    superuser.batch_execute("alter role codeccloud set statement_timeout = '500ms'").await.unwrap();
    superuser.batch_execute("alter role codeccloud set lock_timeout = '500ms'").await.unwrap();
    // The index waits for this one.
    let open = database.superuser().await;
    open.batch_execute("begin").await.unwrap();
    write(&open, 1).await;
    tokio::spawn(sealer(&database, keys()).run());
    let building = "select count(*) from pg_stat_activity where query like 'CREATE INDEX%' and state = 'active'
        and query_start < now() - interval '2 seconds'";
    until("the index goes on being made", async || number(&superuser, building).await == 1).await;
    open.batch_execute("commit").await.unwrap();
    until("it is made", async || number(&superuser, INDEX).await == 1).await;
    until("all is sealed", async || verified(&database, &keys(), None).await.0.entries == 101).await;
}

#[tokio::test]
async fn verifying_and_exporting_take_as_long_as_they_take() {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    write(&superuser, 3).await;
    seal_all(&database, keys()).await;
    write(&superuser, 3).await;
    let slow = "alter role codeccloud set statement_timeout = '500ms';
        create policy slow on audit_log as restrictive for select to codeccloud_sealer
            using ((select pg_sleep(1)) is not null)";
    superuser.batch_execute(slow).await.unwrap();
    let (summary, found) = verified(&database, &keys(), None).await;
    assert_eq!((summary.entries, summary.unsealed, found), (3, 3, vec![]));
    let mut client = database.database().connect(DatabaseRole::Sealer).await.unwrap();
    let mut exported = 0;
    let take = |_| {
        exported += 1;
        Ok(())
    };
    export(&mut client, TenantId(TENANT), Timestamp::MIN, Timestamp::MAX, take).await.unwrap().unwrap();
    assert_eq!(exported, 6);
}

/// It may be the proof of what was done, and whoever spoils it must not have it replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_cant_be_read_is_left_as_it_is() {
    let (database, dir) = (Database::create().await, TestDir::new());
    let superuser = database.superuser().await;
    let anchor = dir.path().join("audit-seal.json");
    std::fs::create_dir_all(dir.path()).unwrap();
    std::fs::write(&anchor, "{\"number\":4711,").unwrap();
    let settings = SealerSettings { keys: keys(), every: Duration::from_millis(20), anchor: anchor.clone() };
    tokio::spawn(Sealer::new(database.database(), settings).run());
    for sealed in 1..=3 {
        write(&superuser, 1).await;
        until("it seals", async || newest(&superuser).await >= sealed).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(std::fs::read_to_string(&anchor).unwrap(), "{\"number\":4711,");
    }
    // Somebody has looked into it, and takes it away.
    std::fs::remove_file(&anchor).unwrap();
    until("it is noted anew", async || Anchor::read(&anchor).is_ok_and(|noted| noted.is_some())).await;
    assert_eq!(Anchor::read(&anchor).unwrap().unwrap().number, newest(&superuser).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_cant_be_written_is_written_later() {
    let (database, dir) = (Database::create().await, TestDir::new());
    let superuser = database.superuser().await;
    let anchor = dir.path().join("audit-seal.json");
    let settings = SealerSettings { keys: keys(), every: Duration::from_millis(20), anchor: anchor.clone() };
    // Where the note is drafted.
    let in_the_way = anchor.with_extension(format!("draft-{}", std::process::id()));
    std::fs::create_dir_all(&in_the_way).unwrap();
    tokio::spawn(Sealer::new(database.database(), settings).run());
    write(&superuser, 1).await;
    until("it seals", async || newest(&superuser).await == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Nothing more is sealed from here on.
    std::fs::remove_dir(&in_the_way).unwrap();
    until("it is noted", async || Anchor::read(&anchor).is_ok_and(|noted| noted.is_some())).await;
    assert_eq!(Anchor::read(&anchor).unwrap().unwrap().number, 1);
}
