//! On an existing deployment's database: its log is as old as it is, some entries name no tenant, its owner is bound by row
//! security, and its own triggers write on.

use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::operators::{lines, until};
use super::{REGUARD, UNGUARD, number};
use crate::adopt::{adopted, command_for};
use crate::support::mvp::{MvpDatabase, OwnerRights};
use crate::support::{Mode, Server, TestDir, in_both_modes, key};

in_both_modes!(a_deployments_log_is_sealed_from_its_beginning_while_it_is_written);

const SEALED: &str = "select coalesce(sum(length(digests) / 24), 0)::bigint from audit_seals";

async fn a_deployments_log_is_sealed_from_its_beginning_while_it_is_written(mode: Mode) {
    let (database, dir) = (MvpDatabase::create(OwnerRights::CreateRole, 2_400).await, TestDir::new());
    adopted(&database);
    std::fs::create_dir_all(dir.path()).unwrap();
    let note = dir.path().join("audit-seal.json");
    let sealing =
        [("CODECCLOUD_AUDIT_SEAL_EVERY_SECONDS", "1"), ("CODECCLOUD_AUDIT_NEWEST_SEAL_FILE", note.to_str().unwrap())];
    let command = || command_for(&database, mode, &sealing);
    let verify = || -> Output { command().args(["audit", "verify", "--json"]).output().unwrap() };
    let superuser = database.superuser().await;
    let past = number(&superuser, "select count(*) from audit_log").await;
    assert!(past > 5_000, "{past}");

    let server = Server::of(command());
    server.ready().await;
    let salon = server.salon_with(command).await;
    let is_sealed = AtomicBool::new(false);
    let sealing = async {
        until("what was there before is sealed", async || number(&superuser, SEALED).await > past).await;
        is_sealed.store(true, Ordering::SeqCst);
    };
    // Another salon's, so that nobody but the sealer could be waited for.
    let by_hand = async {
        let psql = database.superuser().await;
        psql.batch_execute("set lock_timeout = '100ms'").await.unwrap();
        let sql = "update products set price_cents = price_cents + 1
            where tenant_id = (select id from tenants where slug = 'salon-2')";
        while !is_sealed.load(Ordering::SeqCst) {
            psql.batch_execute(sql).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let over_http = async {
        for nth in 0.. {
            let booking =
                salon.booking(nth % 4, i64::try_from(nth / 48).unwrap(), i64::try_from(nth / 4 % 12).unwrap());
            let booked = server.post(&salon, "/v1/bookings", &key(), &booking).await;
            assert_eq!(booked.status, 201, "{}", booked.text);
            if is_sealed.load(Ordering::SeqCst) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    futures_util::join!(sealing, by_hand, over_http);

    let all = number(&superuser, "select count(*) from audit_log").await;
    until("all of it is sealed", async || number(&superuser, SEALED).await == all).await;
    until("and noted", async || note.exists()).await;
    let verified = verify();
    let [summary] = &lines(&verified)[..] else { panic!("{:?}", lines(&verified)) };
    assert_eq!((verified.status.code(), &summary["entries"], &summary["findings"]), (Some(0), &json!(all), &json!(0)));

    let old = number(&superuser, "select min(id) from audit_log where tenant_id is null").await;
    let by_hand = "select max(id) from audit_log where entity = 'products' and event_type = 'update'";
    let changed = [old, number(&superuser, by_hand).await];
    for entry in changed {
        let change = format!("update audit_log set after = '{{}}' where id = {entry}");
        superuser.batch_execute(&format!("{UNGUARD}; {change}; {REGUARD}")).await.unwrap();
    }
    let verified = verify();
    let found: Vec<Value> = lines(&verified).into_iter().filter(|line| line["finding"] == "changed").collect();
    let named: Vec<_> = found.iter().map(|finding| finding["entry"].as_i64().unwrap()).collect();
    assert_eq!((verified.status.code(), named), (Some(1), changed.to_vec()), "{:?}", lines(&verified));
    assert_eq!(lines(&verified).len(), 3, "nothing else is named");
}
