//! What the deployment had booked before counts like what is booked afterwards.

use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::adopted;
use super::owners::SECRETS;
use crate::support::mvp::{MvpDatabase, OwnerRights};
use crate::support::totals::{counted, kept};
use crate::support::{Mode, Server, command_on, connect, key};

async fn tenants(client: &Client) -> Vec<Uuid> {
    client.query("SELECT id FROM tenants ORDER BY 1", &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn totals_hold(client: &Client, tenants: &[Uuid]) {
    for tenant in tenants {
        let (kept, counted) = (kept(client, *tenant).await, counted(client, *tenant).await);
        assert!(counted.len() > 100, "{counted:?}");
        let apart: Vec<&String> = kept
            .iter()
            .filter(|one| !counted.contains(one))
            .chain(counted.iter().filter(|one| !kept.contains(one)))
            .collect();
        assert!(apart.is_empty(), "of tenant {tenant}: {apart:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bookings_from_before_are_counted_and_a_second_run_counts_what_an_interrupted_one_left() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 2_400).await;
    adopted(&database);
    let superuser = database.superuser().await;
    let tenants = tenants(&superuser).await;
    totals_hold(&superuser, &tenants).await;
    // As if it had been interrupted in the midst of the second tenant.
    let interrupted = "DELETE FROM sales_metrics WHERE tenant_id = $1";
    superuser.execute(interrupted, &[&tenants[1]]).await.unwrap();
    let left = "INSERT INTO app_private.totals_to_count (tenant_id) VALUES ($1)";
    superuser.execute(left, &[&tenants[1]]).await.unwrap();
    adopted(&database);
    totals_hold(&superuser, &tenants).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployments_own_software_and_the_server_count_at_once_without_standing_in_each_others_way() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 2_400).await;
    adopted(&database);
    let url = database.url();
    let environment = [&SECRETS[..], &[Mode::Mvp.feature(), ("CODECCLOUD_LOG_FILTER", "warn")]].concat();
    let command = || command_on(&url, &environment);
    let server = Server::of(command());
    server.ready().await;
    let salon = server.salon_by(command, "salon-1").await;
    let superuser = database.superuser().await;
    let tenant: Uuid = salon.tenant_id.parse().unwrap();

    // The deployment's software changes many rows at once, on the day too on which bookings are made and cancelled.
    let first = server.post(&salon, "/v1/bookings", &key(), &salon.booking(1, 0, 0)).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let changes = async {
        let url = superuser_url(&database);
        for _ in 0..40 {
            let client = connect(&url).await;
            let sql = "UPDATE appointments SET price_cents = price_cents + 1 \
                       WHERE tenant_id = $1 AND slot_start > now() AND status = 'scheduled'";
            let changed = client.execute(sql, &[&tenant]).await;
            assert!(changed.is_ok(), "{changed:?}");
        }
    };
    let bookings = async {
        for number in 0..40 {
            let mut body = salon.booking(0, 0, number % 12);
            body["customer"]["id"] = json!(Uuid::from_u128(0x4000_8000_0000_0000_0000 + number as u128));
            let made = server.post(&salon, "/v1/bookings", &key(), &body).await;
            assert_eq!(made.status, 201, "{}", made.text);
            let id = made.json()["booking"]["id"].clone();
            let path = format!("/v1/bookings/{}/cancel", id.as_str().unwrap());
            let cancelled = server.post(&salon, &path, &key(), &json!({ "bookingId": id })).await;
            assert_eq!(cancelled.status, 200, "{}", cancelled.text);
        }
    };
    futures_util::join!(changes, bookings);
    totals_hold(&superuser, &[tenant]).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(superuser.query_one(deadlocks, &[]).await.unwrap().get::<_, i64>(0), 0);
}

fn superuser_url(database: &MvpDatabase) -> String {
    database.url().replacen("salon_owner@", "codeccloud_bootstrap@", 1)
}
