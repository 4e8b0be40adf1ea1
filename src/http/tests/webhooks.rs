//! Webhooks: managers set them up, secrets are shown once made and never again.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::{BookingId, TenantId, Version};
use codeccloud_actors::testing::time;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::json;
use uuid::Uuid;

use super::house::{House, Mood};
use super::{as_role, get, post, send};
use crate::ports::{
    IdempotencyKey, NewWebhook, Page, ReferenceError, WebhookChange, WebhookDeliveryView, WebhookView, Webhooks,
};

const WEBHOOK: &str = "/v1/webhooks/00000000-0000-0000-0000-0000000000e0";

fn endpoint() -> WebhookView {
    WebhookView {
        id: Uuid::from_u128(0xE0),
        url: "https://example.ch/hook".to_owned(),
        event_types: vec!["booking.scheduled".to_owned()],
        active: true,
        off_reason: None,
        previous_secret_until: None,
        version: Version(3),
        created_at: time("2027-02-01T09:00:00Z"),
        updated_at: time("2027-02-01T09:00:00Z"),
    }
}

fn delivery() -> WebhookDeliveryView {
    WebhookDeliveryView {
        id: Uuid::from_u128(0xDE),
        number: 41,
        event_type: "booking.scheduled".to_owned(),
        booking_id: BookingId(Uuid::from_u128(0xB)),
        state: "dead".to_owned(),
        attempts: 10,
        next_attempt_at: None,
        response_status: Some(500),
        reason: Some("it answered 500".to_owned()),
        created_at: time("2027-02-01T09:00:00Z"),
        finished_at: Some(time("2027-02-04T09:00:00Z")),
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, ReferenceError>>;

impl Webhooks for House {
    fn list(&self, _: TenantId, _: Caller) -> Answer<'_, Vec<WebhookView>> {
        self.changed("list".to_owned(), vec![endpoint()])
    }

    fn get(&self, _: TenantId, _: Caller, id: Uuid) -> Answer<'_, WebhookView> {
        let found = if id == endpoint().id { Ok(endpoint()) } else { Err(ReferenceError::NotFound("webhook")) };
        ready(found).boxed()
    }

    fn create(
        &self,
        _: TenantId,
        _: Caller,
        new: NewWebhook,
        _: IdempotencyKey,
    ) -> Answer<'_, (WebhookView, String, bool)> {
        self.changed(format!("{new:?}"), (endpoint(), "whsec_AAAA".to_owned(), self.replays))
    }

    fn change(
        &self,
        _: TenantId,
        _: Caller,
        _: Uuid,
        change: WebhookChange,
        expected: Option<Version>,
    ) -> Answer<'_, WebhookView> {
        match expected {
            Some(expected) if expected != Version(3) => ready(Err(ReferenceError::Outdated)).boxed(),
            Some(_) | None => self.changed(format!("{change:?}"), WebhookView { version: Version(4), ..endpoint() }),
        }
    }

    fn delete(&self, _: TenantId, _: Caller, id: Uuid, expected: Option<Version>) -> Answer<'_, ()> {
        self.changed(format!("deletes {id} if {expected:?}"), ())
    }

    fn rotate_secret(
        &self,
        _: TenantId,
        _: Caller,
        id: Uuid,
        _: IdempotencyKey,
    ) -> Answer<'_, (WebhookView, String, bool)> {
        self.changed(format!("rotates {id}"), (endpoint(), "whsec_BBBB".to_owned(), self.replays))
    }

    fn deliveries(
        &self,
        _: TenantId,
        _: Caller,
        _: Uuid,
        before: Option<i64>,
        limit: usize,
    ) -> Answer<'_, Page<WebhookDeliveryView>> {
        self.changed(format!("{limit} before {before:?}"), Page { items: vec![delivery()], more: before.is_none() })
    }

    fn replay(
        &self,
        _: TenantId,
        _: Caller,
        _: Uuid,
        delivery_id: Uuid,
        _: IdempotencyKey,
    ) -> Answer<'_, (WebhookDeliveryView, bool)> {
        self.changed(format!("replays {delivery_id}"), (delivery(), self.replays))
    }
}

#[actix_web::test]
async fn a_secret_is_shown_when_it_is_made_and_never_again() {
    let house = House::that(Mood::Accepts);
    let created = send(&house, post("/v1/webhooks", &json!({ "url": "https://example.ch/hook" }))).await;
    assert_eq!((created.status.as_u16(), created.header("location")), (201, Some(WEBHOOK)));
    assert_eq!(created.json()["secret"], "whsec_AAAA");
    let rotated = send(&house, post(&format!("{WEBHOOK}/rotate-secret"), &json!({}))).await;
    assert_eq!((rotated.status.as_u16(), rotated.json()["secret"].as_str()), (200, Some("whsec_BBBB")));
    for path in ["/v1/webhooks", WEBHOOK] {
        let shown = send(&house, get(path)).await;
        assert_eq!(shown.status, 200);
        assert!(!shown.text().contains("secret\"") && !shown.text().contains("whsec"), "{}", shown.text());
    }
}

#[actix_web::test]
async fn a_change_asks_for_the_version_that_was_seen() {
    let house = House::that(Mood::Accepts);
    let patch = |tag: &str| {
        let request = as_role(TestRequest::default().method(Method::PATCH).uri(WEBHOOK), "manager");
        request.insert_header(("if-match", tag.to_owned())).set_json(json!({ "active": false }))
    };
    let changed = send(&house, patch("\"3\"")).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, Some("\"4\"")));
    send(&house, patch("\"2\"")).await.problem(412, "precondition-failed");
    let deleted = as_role(TestRequest::delete().uri(WEBHOOK), "owner").insert_header(("if-match", "\"3\""));
    assert_eq!(send(&house, deleted).await.status, 204);
    assert!(house.seen().last().is_some_and(|seen| seen.ends_with("if Some(Version(3))")), "{:?}", house.seen());
}

#[actix_web::test]
async fn deliveries_page_and_are_sent_again() {
    let house = House::that(Mood::Accepts);
    let first = send(&house, get(&format!("{WEBHOOK}/deliveries?limit=1"))).await.json();
    assert_eq!((&first["nextCursor"], &first["data"][0]["responseStatus"]), (&json!("41"), &json!(500)));
    let second = send(&house, get(&format!("{WEBHOOK}/deliveries?limit=1&cursor=41"))).await.json();
    assert_eq!(second["nextCursor"], json!(null));
    let nonsense = send(&house, get(&format!("{WEBHOOK}/deliveries?cursor=x"))).await;
    assert_eq!(nonsense.problem(422, "validation-error"), ["cursor"]);
    let replay = post(&format!("{WEBHOOK}/deliveries/{}/replay", delivery().id), &json!({}));
    assert_eq!(send(&house, replay).await.header("x-idempotent-replay"), Some("false"));
}

#[actix_web::test]
async fn only_managers_and_owners_come_near() {
    let house = House::that(Mood::Accepts);
    for role in ["staff", "customer", "service", "operator"] {
        send(&house, as_role(TestRequest::get().uri(WEBHOOK), role)).await.problem(403, "forbidden");
    }
    assert_eq!(send(&house, as_role(TestRequest::get().uri(WEBHOOK), "manager")).await.status, 200);
}
