//! Totals while their tenant's zone changes, and while they are counted month by month.

use std::time::Duration;

use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::Database;
use crate::support::totals::{counted, kept};

/// Has no row of settings, as the tenants of an adopted database.
const TENANT: Uuid = Uuid::from_u128(1);

/// Bookings of an hour around the ends of two months, so that each zone has others on the first day.
async fn booked() -> (Database, Client) {
    let database = Database::for_appends().await;
    let superuser = database.superuser().await;
    for month in ["2031-05-01", "2031-06-01", "2031-07-01"] {
        let make = format!("SELECT app_private.create_appointments_partition('{month}')");
        database.owner().await.batch_execute(&make).await.unwrap();
    }
    let book = "INSERT INTO appointments (tenant_id, code, staff_id, status, slot_start, slot_end, price_cents) \
                SELECT $1, end_of_month || '/' || hours, gen_random_uuid(), 'scheduled', at, at + interval '1 hour', 100 \
                FROM unnest(array['2031-06-01Z', '2031-07-01Z']::timestamptz[]) end_of_month, generate_series(-20, 20, 2) hours, \
                LATERAL (SELECT end_of_month + make_interval(hours => hours) AS at) slot";
    superuser.execute(book, &[&TENANT]).await.unwrap();
    hold(&superuser).await;
    (database, superuser)
}

async fn hold(client: &Client) {
    let counted = counted(client, TENANT).await;
    assert!(counted.len() > 20, "{counted:?}");
    assert_eq!(kept(client, TENANT).await, counted);
}

async fn month_is_counted(client: &Client) -> bool {
    client.query_one("SELECT app_private.count_next_totals()", &[]).await.unwrap().get(0)
}

async fn all_are_to_be_counted(client: &Client) {
    client.execute("INSERT INTO app_private.totals_to_count (tenant_id) VALUES ($1)", &[&TENANT]).await.unwrap();
}

/// The only way for a tenant that never had any to get a zone.
#[tokio::test]
async fn settings_that_come_or_go_move_what_was_counted() {
    let (_database, superuser) = booked().await;
    let come = "INSERT INTO tenant_settings (tenant_id, time_zone) VALUES ($1, 'Europe/London')";
    superuser.execute(come, &[&TENANT]).await.unwrap();
    hold(&superuser).await;
    superuser.execute("DELETE FROM tenant_settings WHERE tenant_id = $1", &[&TENANT]).await.unwrap();
    hold(&superuser).await;
}

#[tokio::test]
async fn a_zone_that_changes_before_a_months_count_is_the_counts_too() {
    let (database, superuser) = booked().await;
    let come = "INSERT INTO tenant_settings (tenant_id, time_zone) VALUES ($1, 'Europe/Zurich')";
    superuser.execute(come, &[&TENANT]).await.unwrap();
    all_are_to_be_counted(&superuser).await;
    assert!(month_is_counted(&superuser).await);
    let other = database.superuser().await;
    let change =
        format!("BEGIN; UPDATE tenant_settings SET time_zone = 'Pacific/Auckland' WHERE tenant_id = '{TENANT}'");
    other.batch_execute(&change).await.unwrap();
    let observer = database.superuser().await;
    let waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%count_next_totals%'";
    let committing = async {
        while observer.query(waits, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        other.batch_execute("COMMIT").await.unwrap();
    };
    let (is_left, ()) = futures_util::join!(month_is_counted(&superuser), committing);
    assert!(is_left);
    hold(&superuser).await;
    while month_is_counted(&superuser).await {}
    hold(&superuser).await;
}

/// Of other software, while months are still to be counted.
#[tokio::test]
async fn a_slot_that_is_longer_than_any_before_is_counted_across_the_months_end() {
    let (_database, superuser) = booked().await;
    all_are_to_be_counted(&superuser).await;
    assert!(month_is_counted(&superuser).await);
    let long = "INSERT INTO appointments (tenant_id, code, staff_id, status, slot_start, slot_end) \
                VALUES ($1, 'LONG', gen_random_uuid(), 'scheduled', '2031-05-25Z', '2031-06-08Z')";
    superuser.execute(long, &[&TENANT]).await.unwrap();
    hold(&superuser).await;
    while month_is_counted(&superuser).await {}
    hold(&superuser).await;
}
