//! The real server through a real PgBouncer in transaction mode.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use codeccloud::postgres::schema;
use serde_json::json;

use super::adopted;
use super::owners::SECRETS;
use crate::support::mvp::{MvpDatabase, OwnerRights};
use crate::support::pgbouncer::PgBouncer;
use crate::support::{Database, Mode, Salon, Server, command_on, in_both_modes, key};

in_both_modes!(
    a_fresh_database_is_served_through_a_pooler_alone,
    an_adopted_database_is_served_through_a_pooler_with_a_way_past_it,
);

/// How the server is told of the pooler, and of the way past it.
fn environment(mode: Mode, direct: Option<&str>) -> Vec<(&str, &str)> {
    let mut environment = SECRETS.to_vec();
    environment.push(mode.feature());
    environment.extend([("CODECCLOUD_DATABASE_POOLER", "transaction"), ("CODECCLOUD_LOG_FILTER", "warn")]);
    environment.extend(direct.map(|url| ("DATABASE_DIRECT_URL", url)));
    environment
}

async fn start(command: impl Fn() -> Command) -> (Server, Salon) {
    let server = Server::of(command());
    server.ready().await;
    let salon = server.salon_with(command).await;
    (server, salon)
}

/// Once the read models have it.
async fn until_listed(server: &Server, salon: &Salon, ids: &BTreeSet<String>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let list = server.get(salon, "/v1/bookings?from=2031-06-01T00:00:00Z&to=2031-07-01T00:00:00Z").await.json();
        let listed: BTreeSet<String> =
            list.as_array().unwrap().iter().map(|booking| booking["id"].as_str().unwrap().to_owned()).collect();
        if ids.is_subset(&listed) {
            return;
        }
        assert!(Instant::now() < deadline, "{} of {} are listed", listed.len(), ids.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Bookings at once and one after the other, a conflict, a change of reference data, a replay, and all again after a restart.
async fn works(command: impl Fn() -> Command) {
    let (server, salon) = start(&command).await;
    let requests: Vec<_> =
        (0..24).map(|number| (key(), salon.booking(number, 0, i64::try_from(number / 2).unwrap()))).collect();
    let replies = futures_util::future::join_all(
        requests.iter().map(|(key, body)| server.post(&salon, "/v1/bookings", key, body)),
    )
    .await;
    let mut ids = BTreeSet::new();
    for reply in &replies {
        match reply.status {
            201 => drop(ids.insert(reply.json()["booking"]["id"].as_str().unwrap().to_owned())),
            409 => {}
            _ => panic!("{reply:?}"),
        }
    }
    assert!(ids.len() > 10, "{replies:?}");
    let taken = server.post(&salon, "/v1/bookings", &key(), &requests[0].1).await;
    assert_eq!(taken.status, 409, "{}", taken.text);
    let (first_key, first_body) = &requests[0];
    let again = server.post(&salon, "/v1/bookings", first_key, first_body).await;
    assert_eq!(again.replayed.as_deref(), Some("true"), "{again:?}");
    until_listed(&server, &salon, &ids).await;
    let first = ids.first().unwrap();
    let read = server.get(&salon, &format!("/v1/bookings/{first}")).await;
    assert_eq!(read.json()["customer"]["firstName"], "Anna", "{}", read.text);
    let cancel = json!({ "bookingId": first, "reason": "ill" });
    let cancelled = server.post(&salon, &format!("/v1/bookings/{first}/cancel"), &key(), &cancel).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    server.stop();

    let (server, salon) = start(&command).await;
    until_listed(&server, &salon, &ids).await;
    let read = server.get(&salon, &format!("/v1/bookings/{first}")).await.json();
    assert_eq!((&read["status"], &read["cancellationReason"]), (&json!("cancelled"), &json!("ill")));
    server.stop();
}

async fn a_fresh_database_is_served_through_a_pooler_alone(mode: Mode) {
    let database = Database::create().await;
    // The migrations too go through it.
    schema::rollback(&mut database.owner().await, 0).await.unwrap();
    let pooler = PgBouncer::before(&database.url());
    works(|| command_on(&pooler.url, &environment(mode, None))).await;
    let listening = "select count(*) from pg_stat_activity where query like 'LISTEN%'";
    let listening: i64 = database.superuser().await.query_one(listening, &[]).await.unwrap().get(0);
    assert_eq!(listening, 0, "nothing was listened to");
}

async fn an_adopted_database_is_served_through_a_pooler_with_a_way_past_it(mode: Mode) {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    adopted(&database);
    let pooler = PgBouncer::before(&database.url());
    let direct = database.url();
    works(|| command_on(&pooler.url, &environment(mode, Some(&direct)))).await;
}

/// A session that comes back to the pool remembers nothing of who used it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind_in_the_pooled_sessions() {
    use codeccloud::postgres::DatabaseRole;
    use tokio_postgres::types::Type;
    let database = Database::create().await;
    let pooler = PgBouncer::before(&database.url());
    let wait = Duration::from_secs(5);
    let pooled = crate::support::database_of(&pooler.url).behind_pooler(None, wait).unwrap();
    let pools: Vec<_> = [DatabaseRole::Reader, DatabaseRole::Vault, DatabaseRole::Operator, DatabaseRole::Journal]
        .map(|role| pooled.pool(role, 8, wait))
        .into();
    let ask = async |number: usize| {
        let client = pools[number % pools.len()].get().await.unwrap();
        let sql = "SELECT current_user::text, $1::int8";
        let rows = client.query_prepared(sql, &[(&i64::try_from(number).unwrap(), Type::INT8)]).await.unwrap();
        (rows[0].get::<_, String>(0), rows[0].get::<_, i64>(1))
    };
    let roles = ["codeccloud_reader", "codeccloud_vault", "codeccloud_operator", "codeccloud_journal"];
    let answers = futures_util::future::join_all((0..64).map(ask)).await;
    for (number, (role, echoed)) in answers.into_iter().enumerate() {
        assert_eq!((role.as_str(), echoed), (roles[number % 4], i64::try_from(number).unwrap()));
    }
    // A row keeps the statement that it came from, which has a name here.
    let operator = pools[2].get().await.unwrap();
    let held = operator.query("select current_user::text", &[]).await.unwrap();
    assert_eq!(held[0].get::<_, &str>(0), "codeccloud_operator");
    let months = codeccloud::postgres::PostgresMonths::new(pooled.clone());
    codeccloud::commands::Months::ensure(&months, "2044-05-06T00:00:00Z".parse().unwrap()).await.unwrap();
    // As a client that sets nothing finds them.
    for _ in 0..8 {
        let bare = crate::support::connect(&pooler.url).await;
        let state = "select current_user, (select count(*) from pg_prepared_statements),
            (select string_agg(name || ' = ' || setting, ', ') from pg_settings
                where source = 'session' and name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone',
                    'extra_float_digits', 'standard_conforming_strings'))";
        let row = &bare.simple_query(state).await.unwrap();
        let tokio_postgres::SimpleQueryMessage::Row(row) = &row[1] else { panic!("{row:?}") };
        assert_eq!((row.get(0), row.get(1), row.get(2)), (Some("codeccloud"), Some("0"), None));
    }
    drop(held);
}
