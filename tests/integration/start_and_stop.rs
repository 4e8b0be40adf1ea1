//! A server starts whatever its salons are like, and stops in time whatever its database does.

use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use codeccloud::postgres::embedded::url_of;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_postgres::Client;

use crate::support::{Database, Server, TestDir, command_on, connect};

const MASTER_KEY: (&str, &str) = ("VAULT_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
const JWT_SECRET: (&str, &str) = ("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef");
/// The example of RFC 8037.
const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","alg":"EdDSA","use":"sig",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

async fn owners(superuser: &Client) -> i64 {
    let sql = "SELECT count(*) FROM tenant_members m JOIN tenants t ON t.id = m.tenant_id \
               WHERE t.slug = 'salon-aare' AND m.role = 'owner'";
    superuser.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salon_that_offers_nothing_is_greeted_too_and_by_the_same_owner() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let superuser = connect(&url_of(dir.path()).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    while owners(&superuser).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    superuser.batch_execute("UPDATE service_details SET is_active = false").await.unwrap();
    drop(superuser);
    server.stop();
    let server = Server::start(dir.path());
    server.ready().await;
    // For its greeting.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let superuser = connect(&url_of(dir.path()).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    assert_eq!(owners(&superuser).await, 1);
    drop(superuser);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_sign_no_token_serves() {
    let database = Database::create().await;
    let server = Server::of(command_on(&database.url(), &[MASTER_KEY, ("SUPABASE_JWT_PUBLIC_JWKS", JWKS)]));
    server.ready().await;
    // For its greeting.
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.stop();
}

/// Its start and its greeting wait for the database, which may never answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_obeyed_while_the_server_starts() {
    let database = Database::create().await;
    // Without the one it does not get as far as to listen, without the other its projections don't go live.
    for table in ["tenants", "event_store"] {
        let lock = database.superuser().await;
        lock.batch_execute(&format!("BEGIN; LOCK TABLE {table}")).await.unwrap();
        let mut command = command_on(&database.url(), &[MASTER_KEY, JWT_SECRET]);
        command.args(["serve", "--demo", "--listen", "127.0.0.1:0"]).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(child.try_wait().unwrap().is_none());
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
        let status = ended(&mut child, Duration::from_secs(10)).await;
        assert!(status.is_some_and(|status| status.success()), "{table}: {status:?}");
        lock.batch_execute("ROLLBACK").await.unwrap();
    }
}

/// `None` for a process that had to be killed.
async fn ended(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_has_a_deadline_whatever_can_not_be_saved() {
    let database = Database::create().await;
    let environment = [MASTER_KEY, JWT_SECRET, ("CODECCLOUD_SERVER_SHUTDOWN_TIMEOUT_MS", "1000")];
    let server = Server::of(command_on(&database.url(), &environment));
    server.ready().await;
    let lock = database.superuser().await;
    lock.batch_execute("BEGIN; LOCK TABLE event_projection_offsets").await.unwrap();
    let took = server.stop();
    assert!(took < Duration::from_secs(4), "{took:?}");
}
