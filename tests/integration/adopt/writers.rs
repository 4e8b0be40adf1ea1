//! Adoption while a deployment goes on booking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::adopt;
use crate::support::mvp::{MvpDatabase, OwnerRights};

/// Half of it is what adoption lets others wait for a lock, the rest is a machine with much to do.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// A member of the tenant, as the deployment's own server acts.
async fn member(database: &MvpDatabase, slug: &str) -> Client {
    let of = "select t.id, m.user_id from tenants t join tenant_members m on m.tenant_id = t.id
        where t.slug = $1 and m.role = 'owner'";
    let row = database.superuser().await.query_one(of, &[&slug]).await.unwrap();
    let claims = json!({ "sub": row.get::<_, Uuid>(1), "role": "authenticated", "tenant_id": row.get::<_, Uuid>(0) });
    let member = database.owner().await;
    member.execute("select set_config('request.jwt.claims', $1, false)", &[&claims.to_string()]).await.unwrap();
    member.batch_execute("set role authenticated").await.unwrap();
    member
}

/// Books, confirms and reads until told to stop; returns how many statements it ran and how long the slowest took.
async fn book(member: Client, writer: i32, is_over: Arc<AtomicBool>) -> (usize, Duration) {
    let statements = [
        "insert into appointments (tenant_id, code, staff_id, status, slot_start, slot_end)
            select app_private.current_tenant_id(), format('W%s-%s', $1::int, $2::int), gen_random_uuid(), 'scheduled',
                at, at + interval '1 hour'
            from (select date_trunc('hour', now()) + make_interval(hours => $2 % 1500) as at) slot",
        "update appointments set status = 'confirmed'
            where tenant_id = app_private.current_tenant_id() and code = format('W%s-%s', $1::int, $2::int)
                and slot_start = date_trunc('hour', now()) + make_interval(hours => $2 % 1500)",
        "insert into product_stock_movements (tenant_id, product_id, quantity_delta, reason)
            select tenant_id, id, 1 + $2 % 3, format('writer %s', $1::int) from products
            where tenant_id = app_private.current_tenant_id() limit 1",
        "update staff_profiles set display_name = format('Person %s.%s', $1::int, $2::int)
            where id = (select min(id::text)::uuid from staff_profiles)",
    ];
    let (mut count, mut slowest) = (0, Duration::ZERO);
    for number in 0.. {
        for statement in statements {
            let began = Instant::now();
            member
                .execute(statement, &[&writer, &number])
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
            slowest = slowest.max(began.elapsed());
            count += 1;
        }
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
    (count, slowest)
}

/// Long readers, which adoption's locks have to wait for, and everybody else behind these.
async fn read_slowly(reader: Client, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        let report =
            "begin; select count(*) from appointments; select count(*) from tenants; select count(*) from audit_log;
            select count(*) from staff_profiles; select pg_sleep(1.5); commit";
        reader.batch_execute(report).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_neither_fail_nor_wait_while_their_database_is_adopted() {
    let database = MvpDatabase::create(OwnerRights::BypassRowSecurity, 2_400).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for (number, slug) in (0..).zip(["salon-1", "salon-1", "salon-2", "salon-3"]) {
        writers.push(tokio::spawn(book(member(&database, slug).await, number, Arc::clone(&is_over))));
    }
    let reader = tokio::spawn(read_slowly(member(&database, "salon-2").await, Arc::clone(&is_over)));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let database = Arc::new(database);
    let adopting = Arc::clone(&database);
    let (document, holds) = tokio::task::spawn_blocking(move || adopt(&adopting, &[])).await.unwrap();
    assert!(holds, "{document:#}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    is_over.store(true, Ordering::Relaxed);
    reader.await.unwrap();
    let mut statements = 0;
    for writer in writers {
        let (count, slowest) = writer.await.unwrap();
        assert!(slowest < WAIT_MAX, "a statement waited for {slowest:?}");
        statements += count;
    }
    assert!(statements > 100, "{statements} statements are no writers");
}
