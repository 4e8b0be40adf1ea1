//! The real server through a real PgBouncer in transaction mode.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use codeccloud::postgres::schema;
use reqwest::Method;
use serde_json::json;

use super::adopted;
use super::owners::SECRETS;
use crate::audit::operators::{lines, until};
use crate::support::commands::of_each_command;
use crate::support::mvp::{MvpDatabase, OwnerRights};
use crate::support::pgbouncer::PgBouncer;
use crate::support::receiver::Receiver;
use crate::support::{Database, Mode, Salon, Server, command_on, in_both_modes, key};

in_both_modes!(
    a_fresh_database_is_served_through_a_pooler_alone,
    an_adopted_database_is_served_through_a_pooler_with_a_way_past_it,
);

/// How the server is told of the pooler, and of the way past it.
fn environment(mode: Mode, direct: Option<&str>) -> Vec<(&str, &str)> {
    let mut environment = SECRETS.to_vec();
    environment.push(mode.feature());
    environment
        .extend([("CODECCLOUD_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES", "on"), ("CODECCLOUD_AUDIT_SEAL_EVERY_SECONDS", "1")]);
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

/// Bookings at once and one after the other, a conflict, a replay, all that a salon does and reads besides, and what is left
/// after a restart.
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
    // Another salon, where nothing else happens.
    let owner = server.salon_by(&command, "atelier-leman").await;
    let owner = server.member_by(&command, &owner, "owner").await;
    does_everything(&server, &owner).await;
    is_sealed(&command).await;
    for arguments in [["outbox", "list", "--json"], ["projections", "status", "--json"]] {
        let output = command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", super::text(&output));
    }
    server.stop();

    let (server, salon) = start(&command).await;
    until_listed(&server, &salon, &ids).await;
    let read = server.get(&salon, &format!("/v1/bookings/{first}")).await.json();
    assert_eq!((&read["status"], &read["cancellationReason"]), (&json!("cancelled"), &json!("ill")));
    server.stop();
}

/// One of each command, what is told of them, a change of reference data, and each read.
async fn does_everything(server: &Server, owner: &Salon) {
    let receiver = Receiver::that_answers(200);
    let endpoint = json!({ "url": receiver.url, "eventTypes": [] });
    let endpoint = server.post(owner, "/v1/webhooks", &key(), &endpoint).await;
    assert_eq!(endpoint.status, 201, "{}", endpoint.text);
    let webhook = endpoint.json()["webhook"]["id"].as_str().unwrap().to_owned();
    let (mut bookings, mut products) = (BTreeSet::new(), BTreeSet::new());
    of_each_command(server, owner, async |path, answer| {
        bookings.extend(answer["booking"]["id"].as_str().map(str::to_owned));
        products.extend(answer["productId"].as_str().map(str::to_owned));
        assert!(answer["outboxEventId"].is_string(), "{path}: {answer}");
    })
    .await;
    let calls = receiver.called(9).await;
    let mut told: Vec<String> = calls.iter().map(|call| call.event().1).collect();
    told.sort();
    let [scheduled, checked_in] = ["scheduled", "checked_in"];
    let expected =
        ["cancelled", checked_in, checked_in, "completed", "confirmed", "no_show", "rescheduled", scheduled, scheduled];
    assert_eq!(told[..9], expected, "{told:?}");

    let hours = json!({ "weekly": [{ "weekday": 1, "start": "09:00", "end": "12:00" }] });
    let staff = &owner.staff_ids[0];
    let of_staff = format!("/v1/staff/{staff}/working-hours");
    let put = server.send(Method::PUT, owner, &of_staff, None, Some(&hours)).await.unwrap();
    assert_eq!(put.status, 200, "{}", put.text);
    let period = "from=2031-06-01&to=2031-07-31";
    let dashboard = server.get(owner, &format!("/v1/admin/dashboard?{period}")).await.json();
    let figures = ["bookings", "completed", "cancellations", "noShows"].map(|name| dashboard[name].as_i64());
    assert_eq!(figures, [Some(3), Some(1), Some(1), Some(1)], "{dashboard}");
    let customer = owner.booking(0, 0, 0)["customer"]["id"].as_str().unwrap().to_owned();
    let points = server.get(owner, &format!("/v1/loyalty/{customer}")).await.json();
    assert!(points["balance"].as_i64().is_some_and(|balance| balance >= 4), "{points}");
    let product = products.first().unwrap();
    let stock = server.get(owner, &format!("/v1/products/{product}/stock")).await.json();
    assert!(stock["onHand"].as_i64().is_some_and(|on_hand| (6..8).contains(&on_hand)), "{stock}");
    let service = &owner.service_id;
    let times = "from=2031-06-02T00:00:00Z&to=2031-06-09T00:00:00Z";
    let mut paths = vec![
        format!("/v1/bookings/availability?serviceId={service}&{times}"),
        format!("/v1/bookings/search?customerId={customer}"),
        format!("/v1/services/{service}"),
        format!("/v1/staff/{staff}"),
        of_staff,
        format!("/v1/staff/{staff}/time-off"),
        format!("/v1/staff/{staff}/utilisation?{period}"),
        format!("/v1/customers/{customer}"),
        format!("/v1/loyalty/{customer}/history"),
        "/v1/products".to_owned(),
        format!("/v1/products/{product}"),
        format!("/v1/products/{product}/movements"),
        "/v1/admin/inventory".to_owned(),
        "/v1/admin/audit".to_owned(),
        "/v1/webhooks".to_owned(),
        format!("/v1/webhooks/{webhook}/deliveries"),
    ];
    paths.extend(["day", "month", "staff", "service"].map(|by| format!("/v1/admin/revenue?by={by}&{period}")));
    paths.extend(bookings.iter().map(|id| format!("/v1/bookings/{id}")));
    for path in paths {
        let read = server.get(owner, &path).await;
        assert_eq!(read.status, 200, "{path}: {}", read.text);
        let list = &read.json()["data"];
        assert!(list.as_array().is_none_or(|list| !list.is_empty()) || path.ends_with("time-off"), "{path} is empty");
    }
}

/// All that was written is under seals sooner or later, and as it was.
async fn is_sealed(command: &impl Fn() -> Command) {
    until("the log is sealed", async || {
        let verified = command().args(["audit", "verify", "--without-note", "--json"]).output().unwrap();
        assert!(verified.status.success(), "{}", super::text(&verified));
        let found = lines(&verified);
        let [summary] = &found[..] else { panic!("{found:?}") };
        summary["entries"].as_u64() > Some(0) && summary["unsealed"] == 0
    })
    .await;
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
