//! What the server does to the database now and then, and before it serves.

use std::time::Duration;

use codeccloud::postgres::embedded::EmbeddedPostgres;
use codeccloud::postgres::upkeep;
use tokio_postgres::Client;

use crate::support::{Database, Server, TestDir, connect};

const HOUR: Duration = Duration::from_secs(3_600);

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Also of tenants that never had an event: refusals are answered under keys as well.
#[tokio::test]
async fn keys_are_forgotten_bit_by_bit_for_every_tenant() {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    let keys = "INSERT INTO tenants (id, slug, name) SELECT gen_random_uuid(), 'salon-' || n, 'Salon' FROM generate_series(1, 2) n; \
        INSERT INTO idempotency_keys \
        SELECT t.id, age || ' ' || n, gen_random_uuid(), '', 409, '', null, now() - age::interval \
        FROM tenants t, generate_series(1, 3000) n, (VALUES ('2 hours'), ('1 minute')) a (age); \
        CREATE TABLE deletions (xid xid8, rows bigint); \
        CREATE FUNCTION count_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
            INSERT INTO public.deletions SELECT pg_current_xact_id(), count(*) FROM gone; RETURN NULL; END $$; \
        CREATE TRIGGER deleted AFTER DELETE ON idempotency_keys REFERENCING OLD TABLE AS gone \
            FOR EACH STATEMENT EXECUTE FUNCTION count_deleted()";
    superuser.batch_execute(keys).await.unwrap();
    upkeep::forget_keys(&database.database(), HOUR).await.unwrap();
    assert_eq!(count(&superuser, "SELECT count(*) FROM idempotency_keys WHERE key LIKE '2 hours%'").await, 0);
    assert_eq!(count(&superuser, "SELECT count(*) FROM idempotency_keys").await, 6_000);
    let largest =
        "SELECT max(rows)::int8 FROM (SELECT sum(rows) AS rows FROM deletions GROUP BY xid::text) by_transaction";
    assert!(count(&superuser, largest).await <= 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_for_long_makes_its_partitions_before_it_serves() {
    let dir = TestDir::new();
    Server::start(dir.path()).stop();
    let postgres = EmbeddedPostgres::start(dir.path()).await.unwrap();
    let superuser = connect(&postgres.url().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let this_month = "'event_store_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')";
    // On a busy disk it takes a while to make one.
    let away = format!(
        "DO $$ BEGIN EXECUTE 'DROP TABLE ' || {this_month}; END $$; \
         CREATE FUNCTION public.dawdle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); END $$; \
         CREATE EVENT TRIGGER dawdle ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.dawdle()"
    );
    superuser.batch_execute(&away).await.unwrap();
    drop(superuser);
    postgres.stop().await;

    let server = Server::start(dir.path());
    let owner = connect(&codeccloud::postgres::embedded::url_of(dir.path()).unwrap()).await;
    assert_eq!(count(&owner, &format!("SELECT count(to_regclass({this_month}))")).await, 1);
    server.stop();
}
