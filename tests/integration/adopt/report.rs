//! The report is given once, whatever ended the run before.

use std::time::Duration;

use super::{adopt, adopted};
use crate::support::mvp::{MvpDatabase, OwnerRights};

#[tokio::test]
async fn a_report_that_was_lost_is_given_by_the_next_run() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    adopted(&database);
    let (again, _) = adopt(&database, &[]);
    assert!(again["report"].is_null(), "{again:#}");

    let superuser = database.superuser().await;
    let interrupted = "update app_private.schema_migrations set reported_at = null;
        create policy codeccloud_adoption on audit_log for select to salon_owner using (true)";
    superuser.batch_execute(interrupted).await.unwrap();
    let given = adopted(&database);
    assert_eq!(given["report"]["rows"]["duplicateIds"]["count"], 3, "{given:#}");
    let left_over = "select count(*) from pg_policies where policyname = 'codeccloud_adoption'";
    assert_eq!(superuser.query_one(left_over, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert!(adopted(&database)["report"].is_null());
    let (asked, _) = adopt(&database, &["--report"]);
    assert_eq!(asked["report"], given["report"]);
}

/// Platforms end statements that take long; here one waits for a lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_statements_does_not_end_the_report() {
    let database = MvpDatabase::create(OwnerRights::BypassRowSecurity, 240).await;
    adopted(&database);
    let superuser = database.superuser().await;
    superuser.batch_execute("alter role salon_owner set statement_timeout = '1s'").await.unwrap();
    superuser.batch_execute("begin; lock table audit_log in access exclusive mode").await.unwrap();
    let reporting = tokio::task::spawn_blocking(move || (adopt(&database, &["--report"]), database));
    tokio::time::sleep(Duration::from_secs(4)).await;
    superuser.batch_execute("commit").await.unwrap();
    let ((document, holds), _database) = reporting.await.unwrap();
    assert!(holds && document["report"]["rows"]["duplicateIds"]["count"] == 3, "{document:#}");
}
