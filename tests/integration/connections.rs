//! Pooled connections: whoever takes one can use it, whatever became of those before.

use std::time::{Duration, Instant};

use actix::Arbiter;
use codeccloud::postgres::embedded::superuser_url_of;
use codeccloud::postgres::{ConnectionPool, DatabaseRole, PostgresIdempotency};
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::IdempotencyStore;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::support::appends::{append, events, journal_on, stream, submit_all};
use crate::support::{Database, Salon, Server, TestDir, connect, database_of, make_tenants};

/// Which connection one gets, once it has answered.
async fn pid(pool: &ConnectionPool) -> i32 {
    let client = pool.get().await.unwrap();
    client.query_typed("SELECT pg_backend_pid()", &[]).await.unwrap()[0].get(0)
}

async fn is_connected(superuser: &Client, pid: i32) -> bool {
    let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
    superuser.query_one(sql, &[&pid]).await.unwrap().get(0)
}

async fn until_gone(superuser: &Client, pid: i32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while is_connected(superuser, pid).await {
        assert!(Instant::now() < deadline, "process {pid} goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_keeps_no_connection() {
    let database = Database::for_appends().await;
    let superuser = database.superuser().await;
    let pool = database.database().pool(DatabaseRole::Reader, 1, Duration::from_secs(5));
    let abandoned = pid(&pool).await;
    let search = async { pool.get().await.unwrap().query_typed("SELECT pg_sleep($1)", &[(&60.0, Type::FLOAT8)]).await };
    assert!(tokio::time::timeout(Duration::from_millis(100), search).await.is_err(), "out of time");
    let next = tokio::time::timeout(Duration::from_secs(5), pid(&pool)).await.expect("the next one needn't wait");
    assert_ne!(next, abandoned);
    until_gone(&superuser, abandoned).await;
    assert_eq!(pid(&pool).await, next, "who waits for the answer leaves a good connection behind");
}

#[tokio::test]
async fn a_connection_that_was_cut_meanwhile_is_given_to_nobody() {
    let database = Database::for_appends().await;
    let superuser = database.superuser().await;
    let pool = database.database().pool(DatabaseRole::Reader, 1, Duration::from_secs(5));
    let cut = pid(&pool).await;
    superuser.execute("SELECT pg_terminate_backend($1)", &[&cut]).await.unwrap();
    until_gone(&superuser, cut).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_ne!(pid(&pool).await, cut);
}

/// As a machine that is frozen in the midst of a command.
#[tokio::test]
async fn who_stops_within_a_command_keeps_no_lock() {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    let mut stopped = Vec::new();
    for (number, role) in (0..).zip([DatabaseRole::Authenticated, DatabaseRole::Service, DatabaseRole::Customer]) {
        let client = database.database().connect(role).await.unwrap();
        client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({number})")).await.unwrap();
        stopped.push(client);
    }
    let freed = superuser.batch_execute("SELECT pg_advisory_lock(number) FROM generate_series(0, 2) number");
    tokio::time::timeout(Duration::from_secs(60), freed).await.expect("their locks are free").unwrap();
}

/// All of the tenant's writers wait behind it.
#[tokio::test]
async fn who_looks_a_commit_up_does_not_wait_for_a_stopped_writer() {
    let database = Database::for_appends().await;
    let (stopped, tenant) = (database.superuser().await, TenantId(Uuid::from_u128(1)));
    let write = format!("BEGIN; SELECT pg_advisory_xact_lock_shared(hashtextextended('{tenant}', 0))");
    stopped.batch_execute(&write).await.unwrap();
    let store = PostgresIdempotency::new(database.pool(DatabaseRole::Reader));
    let looked = tokio::time::timeout(Duration::from_secs(30), store.find(tenant, "a key")).await;
    assert!(looked.expect("it gives up").is_err());
    stopped.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.find(tenant, "a key").await.unwrap(), None);
}

/// A projection that catches up does so on an arbiter of its own, which stops when it is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_the_arbiter_that_it_was_made_on() {
    let database = Database::for_appends().await;
    let pool = database.database().pool(DatabaseRole::Reader, 1, Duration::from_secs(5));
    let (on_arbiter, (tell, told)) = (pool.clone(), std::sync::mpsc::channel());
    let arbiter_lived = move || {
        let system = actix::System::new();
        let arbiter = system.block_on(async { Arbiter::new() });
        arbiter.spawn(async move { tell.send(pid(&on_arbiter).await).unwrap() });
        let made = told.recv().unwrap();
        arbiter.stop();
        arbiter.join().unwrap();
        made
    };
    let made = tokio::task::spawn_blocking(|| std::thread::spawn(arbiter_lived).join().unwrap()).await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), pid(&pool)).await.expect("it answers"), made);
}

/// A server with one connection for searches, each of which takes four seconds.
async fn with_slow_searches(dir: &TestDir) -> (Server, Salon, Client) {
    let server = Server::start_with(dir.path(), &[("CODECCLOUD_DATABASE_POOL_SIZE", "1")]);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let slow = format!(
        "INSERT INTO saga_instances VALUES \
            ('{}', 'booking', gen_random_uuid(), 1, '', '{{\"slotStart\": \"1950-01-01T09:00:00.000Z\"}}', now()); \
         CREATE POLICY slow ON saga_instances AS RESTRICTIVE FOR SELECT TO codeccloud_reader \
            USING ((SELECT pg_sleep(4)) IS NOT NULL)",
        salon.tenant_id
    );
    let superuser = connect(&superuser_url_of(dir.path()).unwrap()).await;
    superuser.batch_execute(&slow).await.unwrap();
    (server, salon, superuser)
}

/// Memberships and revocations reach a server by its memory of the salons.
#[tokio::test(flavor = "multi_thread")]
async fn slow_searches_let_in_nobody_who_was_shut_out() {
    let dir = TestDir::new();
    let (server, salon, superuser) = with_slow_searches(&dir).await;
    let member = server.member_of(&salon, dir.path(), "staff").await;
    let searching = futures_util::future::join3(
        server.get(&salon, "/v1/bookings/search?limit=200"),
        server.get(&salon, "/v1/bookings/search?limit=199"),
        server.get(&salon, "/v1/bookings/search?limit=198"),
    );
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        superuser.execute("DELETE FROM tenant_members WHERE role = 'staff'", &[]).await.unwrap();
        let deadline = Instant::now() + Duration::from_millis(2_500);
        while server.get(&member, "/v1/services").await.status != 403 {
            assert!(Instant::now() < deadline, "the revocation waits for the searches");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let began = Instant::now();
    let (_, ()) = futures_util::join!(searching, meanwhile);
    assert!(began.elapsed() > Duration::from_secs(3), "the searches are not slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_learns_of_no_change_says_so() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let health = async || {
        let answer = server.client.get(format!("{}/health/ready", server.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert!(!health().await.1.contains("reference data"));
    let superuser = connect(&superuser_url_of(dir.path()).unwrap()).await;
    superuser.batch_execute("BEGIN; LOCK TABLE reference_versions").await.unwrap();
    let until = async |is_old: bool| {
        let deadline = Instant::now() + Duration::from_secs(12);
        loop {
            let (status, text) = health().await;
            assert_eq!(status, 200, "it serves all the same: {text}");
            if text.contains("reference data") == is_old {
                return;
            }
            assert!(Instant::now() < deadline, "{text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until(true).await;
    superuser.batch_execute("COMMIT").await.unwrap();
    until(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_searches_hold_up_no_read_model() {
    let dir = TestDir::new();
    let (server, salon, superuser) = with_slow_searches(&dir).await;
    let url = codeccloud::postgres::embedded::url_of(dir.path()).unwrap();
    make_tenants(&superuser).await;
    let began = Instant::now();
    let search = server.get(&salon, "/v1/bookings/search?limit=200");
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The first event of a stream that did not begin stops the projection, for all to see.
        submit_all(&journal_on(&database_of(&url)), vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
        let deadline = Instant::now() + Duration::from_secs(3);
        let stopped = "codeccloud_projection_tenants_stopped{projection=\"appointment_summaries\"} 1";
        loop {
            let metrics = server.client.get(format!("{}/metrics", server.url)).send().await.unwrap();
            if metrics.text().await.unwrap().contains(stopped) {
                return;
            }
            assert!(Instant::now() < deadline, "the event waits for the search");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (_, ()) = futures_util::join!(search, meanwhile);
    assert!(began.elapsed() > Duration::from_secs(3), "the search is not slow");
}
