//! Who waits for whom.

use std::time::{Duration, Instant};

use codeccloud::postgres::embedded::superuser_url_of;
use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use super::House;
use crate::support::{Mode, connect, in_both_modes, key};

in_both_modes!(what_is_not_there_is_said_while_others_write);

/// Whoever takes the tenant's fence alone would wait for the writer, and make all others wait.
async fn what_is_not_there_is_said_while_others_write(mode: Mode) {
    let house = House::open(mode).await;
    let write = format!("BEGIN; SELECT pg_advisory_xact_lock_shared(hashtextextended('{}', 0))", house.salon.tenant_id);
    house.psql.batch_execute(&write).await.unwrap();
    let began = Instant::now();
    let unknown = Uuid::from_u128(0x7000_8000_0000_0000_0001).to_string();
    let cancelled = house.step(&unknown, "cancel", json!({})).await;
    assert_eq!(cancelled.status, 404, "{}", cancelled.text);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

/// Scale mode has a test of its own for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_salon_whose_row_somebody_holds_costs_no_other_salon_anything() {
    let house = House::open(Mode::Mvp).await;
    let other = house.server.salon_named(house.dir.path(), "atelier-leman").await;
    let held = format!("BEGIN; SELECT FROM tenants WHERE id = '{}' FOR UPDATE", house.salon.tenant_id);
    house.psql.batch_execute(&held).await.unwrap();
    let waiting = join_all((0..24).map(async |number| {
        let body = house.salon.booking(usize::try_from(number % 2).unwrap(), number / 12, number % 12);
        house.server.post(&house.salon, "/v1/bookings", &key(), &body).await
    }));
    let served = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for number in 0..8 {
            let began = Instant::now();
            let booked = house.server.post(&other, "/v1/bookings", &key(), &other.booking(0, 0, number)).await;
            assert_eq!(booked.status, 201, "{}", booked.text);
            assert_eq!(house.server.get(&house.salon, "/v1/bookings").await.status, 200, "reading goes on");
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        }
    };
    let (replies, ()) = futures_util::join!(waiting, served);
    for reply in replies {
        assert_eq!((reply.status, reply.retry_after.is_some()), (503, true), "{}", reply.text);
    }
    house.psql.batch_execute("ROLLBACK").await.unwrap();
    house.booked(&house.salon.booking(0, 0, 0)).await;
}

/// Changes of products raise the tenant's version.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_salon_whose_row_somebody_holds_leave_connections_to_others() {
    let mut house = House::open(Mode::Mvp).await;
    house.salon = house.server.member_of(&house.salon, house.dir.path(), "owner").await;
    let held = format!("BEGIN; SELECT FROM tenants WHERE id = '{}' FOR UPDATE", house.salon.tenant_id);
    house.psql.batch_execute(&held).await.unwrap();
    let changes = join_all((0..16).map(async |number| {
        let body =
            json!({ "sku": format!("S-{number}"), "name": "Shampoo", "price": { "amount": 100, "currency": "CHF" } });
        house.server.post(&house.salon, "/v1/products", &key(), &body).await
    }));
    let observer = connect(&superuser_url_of(house.dir.path()).unwrap()).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let observed = async {
        let mut most = 0;
        for _ in 0..100 {
            most = most.max(observer.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        house.psql.batch_execute("ROLLBACK").await.unwrap();
        most
    };
    let (replies, most) = futures_util::join!(changes, observed);
    assert!((1..=4).contains(&most), "{most} of 8 connections wait for the salon");
    for reply in replies {
        assert_eq!(reply.status, 201, "{}", reply.text);
    }
}
