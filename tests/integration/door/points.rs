//! Points that expire.

use std::time::Duration;

use codeccloud::postgres::embedded::{superuser_url_of, url_of};
use codeccloud_actors::aggregate::Aggregate;
use codeccloud_actors::aggregates::loyalty_balance::{LoyaltyBalance, LoyaltyBalanceEvent, PointsAccrued};
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, BookingId, StreamId};
use codeccloud_actors::ports::{Head, StreamAppend};
use codeccloud_actors::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{NOWHERE, get, post, with};
use crate::support::appends::{append, events, journal_on, submit_all};
use crate::support::{Mode, Salon, TestDir, connect, database_of, in_both_modes};

in_both_modes!(expired_points_are_gone_from_balance_and_history_alike, nobody_has_no_account,);

async fn expired_points_are_gone_from_balance_and_history_alike(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let owner = server.member_of(&salon, dir.path(), "owner").await;
    let customer = Uuid::from_u128(0xC5);
    let booking = with(salon.booking(0, 0, 0), "/customer/id", json!(customer));
    assert_eq!(post(&server, &salon, "/v1/bookings", &booking).await.status, 201);
    accrue_long_ago(mode, &dir, &salon, customer, 40).await;
    let account = format!("/v1/loyalty/{customer}");
    let history = async |query: &str| get(&server, &owner, &format!("{account}/history{query}")).await.body;
    let points = |page: &Value| -> Vec<i64> {
        page["data"].as_array().unwrap().iter().map(|entry| entry["points"].as_i64().unwrap()).collect()
    };
    // They came by another way than this server, so its feed has to find the events.
    let known = async {
        while points(&history("").await).len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), known).await.expect("both entries within ten seconds");
    assert_eq!(get(&server, &owner, &account).await.body["balance"], 0);
    assert_eq!(points(&history("").await), [-40, 40]);
    let newest = history("?limit=1").await;
    assert_eq!((points(&newest), &newest["data"][0]["kind"]), (vec![-40], &json!("points_expired")));
    let cursor = newest["nextCursor"].as_str().unwrap();
    assert_eq!(points(&history(&format!("?limit=1&cursor={cursor}")).await), [40]);

    post(&server, &owner, &format!("{account}/redeem"), &json!({ "points": 1 })).await.problem(
        409,
        "conflict",
        "none left",
    );
    let gift = post(&server, &owner, &format!("{account}/adjust"), &json!({ "points": 5 })).await;
    assert_eq!((gift.status, &gift.body["balance"]), (200, &json!(5)), "{}", gift.body);
    // Now the store says so too, and nothing expires twice.
    assert_eq!(points(&history("").await), [5, -40, 40]);
    assert_eq!(get(&server, &owner, &account).await.body["balance"], 5);

    let (damage, page) = match mode {
        Mode::Mvp => ("update loyalty_accounts set state = '[]' where customer_id = $1", ""),
        Mode::Scale => ("update event_store set payload = '{}' where aggregate_id = $1 and version = 1", "?cursor=2"),
    };
    let psql = connect(&superuser_url_of(dir.path()).unwrap()).await;
    psql.batch_execute("set session_replication_role = replica").await.unwrap();
    psql.execute(damage, &[&customer]).await.unwrap();
    let history = get(&server, &owner, &format!("{account}/history{page}")).await;
    history.problem(503, "unavailable", "a history without what can't be read would be a lie");
}

async fn nobody_has_no_account(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let owner = server.member_of(&salon, dir.path(), "owner").await;
    let account = format!("/v1/loyalty/{NOWHERE}");
    for step in ["adjust", "redeem"] {
        let answer = post(&server, &owner, &format!("{account}/{step}"), &json!({ "points": 5 })).await;
        answer.problem(404, "not-found", step);
    }
    for path in [account.clone(), format!("{account}/history")] {
        get(&server, &owner, &path).await.problem(404, "not-found", &path);
    }
}

/// Points whose time is long up, as an account from the past has them.
async fn accrue_long_ago(mode: Mode, dir: &TestDir, salon: &Salon, customer: Uuid, points: u32) {
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let (accrued_at, expires_at) = (at("2020-01-01T09:00:00Z"), at("2021-01-01T09:00:00Z"));
    let booking_id = BookingId(Uuid::from_u128(0xB0));
    let accrued = PointsAccrued { booking_id, points, expires_at: Some(expires_at) };
    let accrued = LoyaltyBalanceEvent::Accrued(accrued);
    match mode {
        Mode::Mvp => {
            let mut balance = LoyaltyBalance::default();
            balance.evolve(&accrued, accrued_at);
            let rows = format!(
                "insert into loyalty_accounts (tenant_id, customer_id, version, balance, state)
                     values ('{tenant}', '{customer}', 1, {points}, '{state}');
                 insert into loyalty_ledger (tenant_id, customer_id, version, id, kind, points, booking_id, created_at)
                     values ('{tenant}', '{customer}', 1, gen_random_uuid(), '{kind}', {points}, '{booking_id}', '{accrued_at}')",
                tenant = salon.tenant_id,
                state = serde_json::to_string(&balance).unwrap(),
                kind = accrued.event_type(),
            );
            connect(&superuser_url_of(dir.path()).unwrap()).await.batch_execute(&rows).await.unwrap();
        }
        Mode::Scale => {
            let stream = StreamId {
                tenant_id: salon.tenant_id.parse().unwrap(),
                aggregate_type: AggregateType::LoyaltyBalance,
                aggregate_id: customer,
            };
            let StreamAppend { mut events, .. } = events(stream, 0, 1);
            (events[0].event_type, events[0].payload) = (accrued.event_type(), accrued.payload());
            (events[0].schema_version, events[0].occurred_at) = (accrued.schema_version(), accrued_at);
            let journal = journal_on(&database_of(&url_of(dir.path()).unwrap()));
            let append = append(vec![StreamAppend { stream, expected: Head::NONE, events }]);
            submit_all(&journal, vec![append]).await.remove(0).unwrap();
        }
    }
}
