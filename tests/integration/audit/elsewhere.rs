//! The log in another cluster: a dump takes its seals along.

use std::process::Command;

use codeccloud::audit::Finding;

use super::{UNGUARD, findings, keys, number, seal_all, verified, write, write_past};
use crate::support::{Database, TestDir, connect};

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Puts the database of one cluster in the place of the other's.
async fn redump(from: &Database, to: &Database) {
    let dir = TestDir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    let file = dir.path().join("dump");
    let file = file.to_str().unwrap();
    run("pg_dump", &["--format=custom", "--file", file, &format!("--dbname={}", from.superuser_url())]);
    let postgres = connect(&to.superuser_url().replacen(":5432/codeccloud", ":5432/postgres", 1)).await;
    postgres.batch_execute("drop database codeccloud with (force)").await.unwrap();
    postgres.batch_execute("create database codeccloud owner codeccloud").await.unwrap();
    run("pg_restore", &["--exit-on-error", &format!("--dbname={}", to.superuser_url()), file]);
}

#[tokio::test]
async fn a_restored_log_is_verified_and_sealed_on() {
    let (first, second) = (Database::create().await, Database::create().await);
    let superuser = first.superuser().await;
    write_past(&superuser, 20).await;
    // The other cluster will count its transactions over those of the first anew.
    for _ in 0..50 {
        write(&superuser, 1).await;
    }
    assert_eq!(seal_all(&first, keys()).await, 70);
    write(&superuser, 5).await;

    redump(&first, &second).await;
    let (summary, found) = verified(&second, &keys(), None).await;
    assert_eq!((summary.entries, summary.unsealed, found), (70, 5, vec![]));
    let restored = second.superuser().await;
    write(&restored, 7).await;
    assert_eq!(findings(&second).await, []);
    assert_eq!(seal_all(&second, keys()).await, 12, "what came unsealed, then what is new");
    let (summary, found) = verified(&second, &keys(), None).await;
    assert_eq!((summary.entries, summary.unsealed, found), (82, 0, vec![]));

    // And back: the first cluster's transactions go on from where they were.
    redump(&second, &first).await;
    let back = first.superuser().await;
    write(&back, 3).await;
    assert_eq!(seal_all(&first, keys()).await, 3);
    let (summary, found) = verified(&first, &keys(), None).await;
    assert_eq!((summary.entries, summary.unsealed, found), (85, 0, vec![]));
    let oldest = number(&back, "select min(id) from audit_log").await;
    back.batch_execute(&format!("{UNGUARD}; delete from audit_log where id = {oldest}")).await.unwrap();
    assert!(findings(&first).await.contains(&Finding::Removed { entry: oldest, seal: 1 }));
}
