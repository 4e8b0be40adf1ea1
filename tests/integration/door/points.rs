//! Points that expire.

use std::time::Duration;

use codeccloud::postgres::embedded::url_of;
use codeccloud_actors::aggregates::loyalty_balance::{LoyaltyBalanceEvent, PointsAccrued};
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, BookingId, StreamId};
use codeccloud_actors::ports::{Head, StreamAppend};
use codeccloud_actors::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{NOWHERE, get, post, with};
use crate::support::appends::{append, events, journal_on, submit_all};
use crate::support::{Salon, Server, TestDir, connect, database_of};

#[tokio::test(flavor = "multi_thread")]
async fn expired_points_are_gone_from_balance_and_history_alike() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let owner = server.member_of(&salon, dir.path(), "owner").await;
    let customer = Uuid::from_u128(0xC5);
    let booking = with(salon.booking(0, 0, 0), "/customer/id", json!(customer));
    assert_eq!(post(&server, &salon, "/v1/bookings", &booking).await.status, 201);
    accrue_long_ago(&dir, &salon, customer, 40).await;
    let account = format!("/v1/loyalty/{customer}");
    let history = async |query: &str| get(&server, &owner, &format!("{account}/history{query}")).await.body;
    let points = |page: &Value| -> Vec<i64> {
        page["data"].as_array().unwrap().iter().map(|entry| entry["points"].as_i64().unwrap()).collect()
    };
    // The events came by another way than this server, so its feed has to find them.
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

    let url = url_of(dir.path()).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1);
    let damage = format!(
        "set session_replication_role = replica;
         update event_store set payload = '{{}}' where aggregate_id = '{customer}' and version = 1"
    );
    connect(&url).await.batch_execute(&damage).await.unwrap();
    let oldest = get(&server, &owner, &format!("{account}/history?cursor=2")).await;
    oldest.problem(503, "unavailable", "a history without what can't be read would be a lie");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_no_account() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
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

/// Points whose time is long up, as a stream from the past has them.
async fn accrue_long_ago(dir: &TestDir, salon: &Salon, customer: Uuid, points: u32) {
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let stream = StreamId {
        tenant_id: salon.tenant_id.parse().unwrap(),
        aggregate_type: AggregateType::LoyaltyBalance,
        aggregate_id: customer,
    };
    let booking_id = BookingId(Uuid::from_u128(0xB0));
    let accrued = PointsAccrued { booking_id, points, expires_at: Some(at("2021-01-01T09:00:00Z")) };
    let accrued = LoyaltyBalanceEvent::Accrued(accrued);
    let StreamAppend { mut events, .. } = events(stream, 0, 1);
    (events[0].event_type, events[0].payload) = (accrued.event_type(), accrued.payload());
    (events[0].schema_version, events[0].occurred_at) = (accrued.schema_version(), at("2020-01-01T09:00:00Z"));
    let journal = journal_on(&database_of(&url_of(dir.path()).unwrap()));
    let append = append(vec![StreamAppend { stream, expected: Head::NONE, events }]);
    submit_all(&journal, vec![append]).await.remove(0).unwrap();
}
