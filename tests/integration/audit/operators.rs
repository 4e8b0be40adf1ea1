//! Through the real server and the real command line.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use codeccloud::audit::{Finding, RetiredKey, SealKey, SealKeys};
use codeccloud::postgres::audit::Sealed;
use codeccloud::postgres::embedded::superuser_url_of;
use codeccloud::postgres::{Client, DatabaseRole};
use serde_json::{Value, json};

use super::{REGUARD, UNGUARD, findings, keys, newest, number, seal_all, sealer, verified, write, write_past};
use crate::support::{Database, Salon, Server, TestDir, connect};

fn audit(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codeccloud"));
    command.arg("--data-dir").arg(data_dir).env_remove("DATABASE_URL").arg("audit").args(arguments).output().unwrap()
}

pub fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{text}"))).collect()
}

fn sealing(dir: &TestDir) -> Server {
    Server::start_with(dir.path(), &[("CODECCLOUD_AUDIT_SEAL_EVERY_SECONDS", "1")])
}

async fn superuser(dir: &TestDir) -> Client {
    connect(&superuser_url_of(dir.path()).unwrap()).await
}

pub async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealer_that_is_killed_midway_goes_on_where_it_was() {
    let dir = TestDir::new();
    let mut server = sealing(&dir);
    server.ready().await;
    let client = superuser(&dir).await;
    write_past(&client, 30_000).await;
    for round in 1..=3 {
        let before = newest(&superuser(&dir).await).await;
        until("it seals", async || newest(&superuser(&dir).await).await > before + 5).await;
        server.kill_9();
        server = sealing(&dir);
        server.ready().await;
        assert!(round < 3 || newest(&superuser(&dir).await).await < 30_000 / 256 + 3);
    }
    let client = superuser(&dir).await;
    let sealed = "select coalesce(sum(length(digests) / 24), 0)::bigint from audit_seals";
    until("all is sealed", async || number(&client, sealed).await >= 30_000).await;
    write(&client, 1).await;
    until("what is new as well", async || number(&client, sealed).await >= 30_001).await;
    until("and noted", async || dir.path().join("audit-seal.json").exists()).await;
    let verified = audit(dir.path(), &["verify", "--json"]);
    let expected = number(&client, "select count(*) from audit_log").await;
    assert_eq!(verified.status.code(), Some(0), "{:?}", lines(&verified));
    assert_eq!(lines(&verified).last().unwrap()["entries"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_what_was_done_and_metrics_tell_of_it() {
    let dir = TestDir::new();
    let server = sealing(&dir);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let client = superuser(&dir).await;
    let tenant: uuid::Uuid = salon.tenant_id.parse().unwrap();
    let insert = "insert into products (tenant_id, sku, name, price_cents) select $1, n::text, 'Brush', 100
        from generate_series(1, 5) n";
    client.execute(insert, &[&tenant]).await.unwrap();
    let anchor = dir.path().join("audit-seal.json");
    until("the seal is noted", async || anchor.exists()).await;
    assert_eq!(audit(dir.path(), &["verify"]).status.code(), Some(0));

    let last = number(&client, "select max(id) from audit_log").await;
    let change = format!("{UNGUARD}; update audit_log set after = '{{}}' where id = {last}; {REGUARD}");
    client.batch_execute(&change).await.unwrap();
    for (arguments, code) in [
        (vec!["verify", "--json", "--tenant", "salon-aare"], 1),
        (vec!["verify", "--json", "--tenant", "atelier-leman"], 0),
        (vec!["verify", "--json"], 1),
    ] {
        let output = audit(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {:?}", lines(&output));
    }
    let found = lines(&audit(dir.path(), &["verify", "--json"]));
    let named = (&found[0]["finding"], &found[0]["entry"], &found[0]["tenant"]);
    assert_eq!(named, (&json!("changed"), &json!(last), &json!(salon.tenant_id)), "{found:?}");

    let metric = async |name: &str| -> f64 {
        let text = server.client.get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
        line.unwrap_or_default().parse().unwrap_or(-1.0)
    };
    until("findings are counted", async || (metric("codeccloud_audit_findings").await - 1.0).abs() < 0.1).await;
    assert!(metric("codeccloud_audit_newest_seal").await >= 1.0);
    assert!(metric("codeccloud_audit_contradicted").await.abs() < 0.1);
    assert!(metric("codeccloud_audit_verified_timestamp_seconds").await > 1.7e9);

    let cut = format!("{UNGUARD}; delete from audit_log; delete from audit_seals; {REGUARD}");
    client.batch_execute(&cut).await.unwrap();
    until("the server misses it", async || (metric("codeccloud_audit_contradicted").await - 1.0).abs() < 0.1).await;
    let found = lines(&audit(dir.path(), &["verify", "--json"]));
    assert_eq!((&found[0]["finding"], &found[0]["entry"]), (&json!("cut_off"), &json!(last)), "{found:?}");
}

/// Whether the end was cut off can't be told then, and that is not to look like a log that is whole.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_vouched_for_without_the_note() {
    let dir = TestDir::new();
    let server = sealing(&dir);
    server.ready().await;
    let anchor = dir.path().join("audit-seal.json");
    write(&superuser(&dir).await, 3).await;
    until("the seal is noted", async || anchor.exists()).await;
    let noted = lines(&audit(dir.path(), &["verify", "--json"]));
    assert!(noted[0]["notedSeal"].as_i64().is_some_and(|number| number > 0), "{noted:?}");
    server.stop();
    std::fs::remove_file(&anchor).unwrap();
    let output = audit(dir.path(), &["verify", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let [summary] = &lines(&output)[..] else { panic!("{:?}", lines(&output)) };
    assert_eq!((&summary["findings"], &summary["notedSeal"]), (&json!(0), &Value::Null));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--without-note"));
    assert_eq!(audit(dir.path(), &["verify", "--without-note"]).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_entries_are_exported_and_shown_to_its_managers() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let other = server.salon_named(dir.path(), "atelier-leman").await;
    let client = superuser(&dir).await;
    let insert = "insert into products (tenant_id, sku, name, price_cents) select $1, n::text, $2, 100
        from generate_series(1, 5) n";
    for (tenant, name) in [(&salon, "Brush"), (&other, "Foreign")] {
        client.execute(insert, &[&tenant.tenant_id.parse::<uuid::Uuid>().unwrap(), &name]).await.unwrap();
    }
    let exported = audit(dir.path(), &["export", "--tenant", "salon-aare", "--from", "2020-01-01T00:00:00Z"]);
    let entries = lines(&exported);
    assert_eq!(entries.len(), 5, "{entries:?}");
    assert!(entries.iter().all(|entry| entry["after"]["name"] == "Brush" && entry["entity"] == "products"));
    let none = audit(dir.path(), &["export", "--tenant", "salon-aare", "--to", "2020-01-01T00:00:00Z"]);
    assert_eq!((none.status.code(), lines(&none).len()), (Some(0), 0));

    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let mut shown = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&manager, &format!("/v1/admin/audit?limit=2{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        shown.extend(page["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let expected: Vec<i64> = entries.iter().rev().map(|entry| entry["id"].as_i64().unwrap()).collect();
    assert_eq!(shown, expected, "newest first, the own ones alone");
    let staff = Salon { token: crate::support::token(dir.path(), &salon.tenant_id, "staff"), ..salon.clone() };
    assert_eq!(server.get(&staff, "/v1/admin/audit").await.status, 403);
}

#[tokio::test]
async fn a_new_key_seals_on_and_the_old_one_still_verifies() {
    let database = Database::create().await;
    let client = database.superuser().await;
    write(&client, 3).await;
    seal_all(&database, keys()).await;
    let (old, new) = (SealKey::new("1", &[1; 32]), SealKey::new("2", &[2; 32]));
    let both = SealKeys::new(new.clone(), vec![RetiredKey { key: old, last_seal: 1 }]).unwrap();
    write(&client, 3).await;
    seal_all(&database, both.clone()).await;
    let (summary, found) = verified(&database, &both, None).await;
    assert_eq!((summary.last_seal, summary.entries, found), (2, 6, vec![]));
    let lost = verified(&database, &SealKeys::new(new, vec![]).unwrap(), None).await;
    assert_eq!(lost.1, [Finding::UnknownKey { seal: 1, key_id: "1".to_owned() }]);
    assert_eq!(lost.0.entries, 3, "those under the key that is there are compared");
    let found = findings(&database).await;
    assert_eq!(found, [Finding::UnknownKey { seal: 2, key_id: "2".to_owned() }]);

    // A server that was forgotten when the key was replaced.
    write(&client, 3).await;
    let mut connection = database.database().connect(DatabaseRole::Sealer).await.unwrap();
    assert_eq!(sealer(&database, keys()).step(&mut connection).await.unwrap(), Sealed::WithRetiredKey);
    assert_eq!(seal_all(&database, both).await, 3);
}

/// With the owner's password and the old key somebody takes the end of the log away and seals what is left anew.
#[tokio::test]
async fn a_leaked_key_forges_nothing_once_it_was_rotated_away() {
    let database = Database::create().await;
    let client = database.superuser().await;
    let (old, new) = (SealKey::new("1", &[1; 32]), SealKey::new("2", &[2; 32]));
    let both = SealKeys::new(new, vec![RetiredKey { key: old, last_seal: 2 }]).unwrap();
    for keys in [keys(), keys(), both.clone(), both.clone()] {
        write(&client, 3).await;
        assert_eq!(seal_all(&database, keys).await, 3);
    }
    assert_eq!(verified(&database, &both, None).await.1, []);
    let forge = "delete from audit_seals where number > 1; update audit_log set after = '{}' where id > 3";
    client.batch_execute(&format!("{UNGUARD}; {forge}; {REGUARD}")).await.unwrap();
    assert_eq!(seal_all(&database, keys()).await, 9);
    write(&client, 3).await;
    assert_eq!(seal_all(&database, keys()).await, 3);
    assert_eq!(findings(&database).await, [], "nothing shows to who trusts the old key still");
    let found = verified(&database, &both, None).await.1;
    assert_eq!(found, [Finding::KeyOutOfTurn { seal: 3, key_id: "1".to_owned() }]);
}
