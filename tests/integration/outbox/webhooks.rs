//! Endpoints by the specification, and by what tenants must not be able to make this server do.

use std::time::Duration;

use codeccloud::ports::{ReferenceError, WebhookChange, Webhooks};
use codeccloud::postgres::{DatabaseRole, rewrap_webhook_secrets};
use codeccloud::vault::{MasterKey, MasterKeys};
use codeccloud_actors::ids::Version;
use serde_json::json;

use super::house::{House, Manner, idempotency, quick};
use super::sink::is_signed;
use crate::support::receiver::Receiver;

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_signed_with_the_secret_and_for_a_while_with_the_previous_one() {
    let house = House::build().await;
    let receiver = Receiver::that_answers(200);
    let (id, first) = house.endpoint(&receiver.url).await;
    let worker = house.worker(Manner::default()).await;
    let customer = house.customer("zoe@example.ch").await;
    let booking = house.book(Some(customer), 0).await;
    let call = receiver.called(1).await.remove(0);
    assert!(is_signed(&first, &call));
    let body = call.json();
    assert_eq!(body["type"], "booking.scheduled");
    assert_eq!((&body["data"]["bookingId"], &body["data"]["customerId"]), (&json!(booking), &json!(customer)));
    assert!(body["timestamp"].is_string() && !call.body.contains("example.ch") && !call.body.contains("Zo"));

    let key = idempotency();
    let rotated = house.endpoints().rotate_secret(house.tenant_id, house.manager, id, key.clone()).await.unwrap();
    let again = house.endpoints().rotate_secret(house.tenant_id, house.manager, id, key).await.unwrap();
    assert_eq!((&again.1, again.2), (&rotated.1, true), "a repeated request rotates once");
    house.change(booking, "status = 'confirmed'").await;
    let call = receiver.called(2).await.remove(1);
    worker.stop().await;
    assert_ne!(first, rotated.1);
    assert!(is_signed(&first, &call) && is_signed(&rotated.1, &call), "{call:?}");
    assert!(!is_signed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &call));
    let stored: String = house.rows.query_one("SELECT e::text FROM webhook_endpoints e", &[]).await.unwrap().get(0);
    assert!(!stored.contains(first.trim_start_matches("whsec_")), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_410_switches_the_endpoint_off() {
    let house = House::build().await;
    let receiver = Receiver::that_answers(410);
    let (id, _) = house.endpoint(&receiver.url).await;
    house.book(None, 0).await;
    let worker = house.worker(Manner::default()).await;
    house.settled().await;
    house.book(None, 1).await;
    house.settled().await;
    worker.stop().await;
    assert_eq!(receiver.calls().len(), 1);
    let endpoints = house.endpoints();
    let view = endpoints.get(house.tenant_id, house.manager, id).await.unwrap();
    assert_eq!((view.active, view.off_reason.as_deref()), (false, Some("it answered 410 Gone")));
    let on = WebhookChange { active: Some(true), ..WebhookChange::default() };
    let change = |expected| endpoints.change(house.tenant_id, house.manager, id, on.clone(), Some(expected));
    assert_eq!(change(Version(1)).await.unwrap_err(), ReferenceError::Outdated);
    let view = change(view.version).await.unwrap();
    assert_eq!((view.active, view.off_reason), (true, None));
}

/// It is the old address that is gone: whoever has given the endpoint another one meanwhile knows better.
#[tokio::test(flavor = "multi_thread")]
async fn a_410_of_an_address_that_was_replaced_switches_nothing_off() {
    let house = House::build().await;
    let good = Receiver::that_answers(200);
    let gone = Receiver::start(|_, _| {
        std::thread::sleep(Duration::from_millis(500));
        (410, String::new())
    });
    let (id, _) = house.endpoint(&gone.url).await;
    let worker = house.worker(Manner::default()).await;
    house.book(None, 0).await;
    let leased = "SELECT FROM outbox_deliveries WHERE lease_id IS NOT NULL";
    while house.rows.query(leased, &[]).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let to = WebhookChange { url: Some(good.url.clone()), ..WebhookChange::default() };
    house.endpoints().change(house.tenant_id, house.manager, id, to, None).await.unwrap();
    gone.called(1).await;
    good.called(1).await;
    house.settled().await;
    worker.stop().await;
    assert!(house.endpoints().get(house.tenant_id, house.manager, id).await.unwrap().active);
}

/// The head says all; a body that never ends is nobody's to wait for.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_body_does_not_end_is_an_answer() {
    let house = House::build().await;
    let receiver = Receiver::endless();
    house.endpoint(&receiver.url).await;
    house.book(None, 0).await;
    let worker = house.worker(Manner { call_timeout: Duration::from_secs(1), ..Manner::default() }).await;
    let done = house.in_state("done", 1).await;
    worker.stop().await;
    assert_eq!((&done[0]["attempts"], &done[0]["response_status"]), (&json!(1), &json!(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previous_secret_keeps_its_promised_time() {
    let house = House::build().await;
    let (id, _) = house.endpoint("https://example.ch/").await;
    let endpoints = house.endpoints();
    let rotate = || endpoints.rotate_secret(house.tenant_id, house.manager, id, idempotency());
    rotate().await.unwrap();
    let refused = rotate().await.unwrap_err();
    assert!(matches!(&refused, ReferenceError::Conflict(reason) if reason.contains("still in use")), "{refused:?}");
    house.rows.batch_execute("UPDATE webhook_endpoints SET previous_secret_until = now()").await.unwrap();
    rotate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed_and_slowness_has_an_end() {
    let house = House::build().await;
    let elsewhere = Receiver::that_answers(200);
    let to = format!("location: {}\r\n", elsewhere.url);
    let redirecting = Receiver::start(move |_, _| (307, to.clone()));
    let slow = Receiver::start(|_, _| {
        std::thread::sleep(Duration::from_secs(3));
        (200, String::new())
    });
    house.endpoint(&redirecting.url).await;
    house.endpoint(&slow.url).await;
    house.book(None, 0).await;
    let call_timeout = Duration::from_millis(300);
    let worker = house.worker(Manner { schedule: quick(2), call_timeout, ..Manner::default() }).await;
    let dead = house.in_state("dead", 2).await;
    worker.stop().await;
    let reasons: Vec<_> = dead.iter().map(|delivery| (&delivery["reason"], &delivery["response_status"])).collect();
    assert_eq!(reasons[0], (&json!("redirects are not followed"), &json!(307)));
    assert_eq!(reasons[1], (&json!("it took too long to answer"), &json!(null)));
    assert_eq!(elsewhere.calls().len(), 0);
}

/// Also when a name leads there, which shows only when it is looked up.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_only_the_server_can_reach_are_refused() {
    let house = House::build().await;
    let receiver = Receiver::that_answers(200);
    let port = receiver.url.split(':').nth(2).unwrap().split('/').next().unwrap().to_owned();
    for url in [format!("https://localhost:{port}/hook"), receiver.url.clone(), "https://169.254.169.254/".to_owned()] {
        house.endpoint(&url).await;
    }
    house.book(None, 0).await;
    let worker = house.worker(Manner { allow_private: false, ..Manner::default() }).await;
    let dead = house.in_state("dead", 3).await;
    worker.stop().await;
    assert_eq!(dead[0]["reason"], "its name leads to an address of a private network");
    assert_eq!(dead[1]["reason"], "the URL must be an https:// URL");
    assert_eq!(dead[2]["reason"], "the URL must not be an address of a private network");
    assert_eq!(receiver.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_made_again_under_its_id_and_only_by_its_tenant() {
    let house = House::build().await;
    let receiver = Receiver::that_answers(200);
    let (id, _) = house.endpoint(&receiver.url).await;
    house.book(None, 0).await;
    let worker = house.worker(Manner::default()).await;
    house.settled().await;
    let endpoints = house.endpoints();
    let page = endpoints.deliveries(house.tenant_id, house.manager, id, None, 10).await.unwrap();
    assert_eq!((page.items.len(), page.more, page.items[0].state.as_str()), (1, false, "done"));
    let delivery = page.items[0].id;
    let replay = |key| endpoints.replay(house.tenant_id, house.manager, id, delivery, key);
    let key = idempotency();
    assert!(!replay(key.clone()).await.unwrap().1);
    assert!(replay(key).await.unwrap().1, "the same request again");
    let calls = receiver.called(2).await;
    house.in_state("done", 1).await;
    worker.stop().await;
    assert_eq!(receiver.calls().len(), 2);
    assert_eq!((calls[0].id(), &calls[0].body), (calls[1].id(), &calls[1].body));
    assert_eq!(calls[0].id(), format!("msg_{}", delivery.simple()));

    let claims = json!({ "sub": uuid::Uuid::from_u128(1), "tenant_id": house.tenant_id }).to_string();
    let stranger = house.database.owner().await;
    stranger.execute("SELECT set_config('request.jwt.claims', $1, false)", &[&claims]).await.unwrap();
    stranger.batch_execute("SET ROLE authenticated").await.unwrap();
    let sql = "SELECT app_private.replay_webhook_delivery($1, $2, $3)";
    let refused = stranger.query_one(sql, &[&house.tenant_id.0, &id, &delivery]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_come_along_when_the_master_key_rotates() {
    let house = House::build().await;
    let (id, _) = house.endpoint("https://example.ch/").await;
    house.endpoints().rotate_secret(house.tenant_id, house.manager, id, idempotency()).await.unwrap();
    let outbox = house.database.database().connect(DatabaseRole::Outbox).await.unwrap();
    let (first, second) = (MasterKey::new("1", [7; 32]), MasterKey::new("2", [8; 32]));
    let stranger = MasterKeys::new(second.clone(), Vec::new()).unwrap();
    assert_eq!(rewrap_webhook_secrets(&outbox, &stranger).await.unwrap(), (0, 1), "unreadable, and left as it was");
    let both = MasterKeys::new(second.clone(), vec![first]).unwrap();
    assert_eq!(rewrap_webhook_secrets(&outbox, &both).await.unwrap(), (1, 0));
    assert_eq!(rewrap_webhook_secrets(&outbox, &both).await.unwrap(), (0, 0), "there is nothing left to do");
    // Under the second alone, both secrets can be read: they go under a third.
    let next = MasterKeys::new(MasterKey::new("3", [9; 32]), vec![second]).unwrap();
    assert_eq!(rewrap_webhook_secrets(&outbox, &next).await.unwrap(), (1, 0));
}
