//! Every row of the contract's table of headers, and what goes wrong around them.

use std::sync::Arc;

use actix_web::test::TestRequest;
use codeccloud_actors::testing::HAIRCUT;
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt;

use super::house::{House, Mood};
use super::{BOOKING, CUSTOMER, KEY, as_role, door, get, new_booking, post, send, send_all, send_to};
use crate::http::route::Verb;
use crate::http::routes::ROUTES;
use crate::http::{Door, trace};
use crate::in_process::LocalRateLimiter;
use crate::ports::{CommandError, RATE_WINDOW};

#[actix_web::test]
async fn every_post_needs_an_idempotency_key() {
    let house = House::that(Mood::Accepts);
    for route in ROUTES.iter().filter(|route| route.verb == Verb::Post) {
        let path = route
            .path_parameters()
            .fold(route.path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), BOOKING));
        for key in [None, Some("short".to_owned()), Some("x".repeat(256))] {
            let request = as_role(TestRequest::post().uri(&path), "owner").set_json(new_booking());
            let request = key.into_iter().fold(request, |request, key| request.insert_header(("idempotency-key", key)));
            send(&house, request).await.problem(400, "bad-request");
        }
    }
    assert!(house.seen().is_empty());
}

#[actix_web::test]
async fn a_replay_says_so_and_names_the_first_booking() {
    let mut house = House::new(Mood::Accepts);
    let first = send(&Arc::new(House::new(Mood::Accepts)), post("/v1/bookings", &new_booking())).await;
    house.replays = true;
    let again = send(&house.into(), post("/v1/bookings", &new_booking())).await;
    assert_eq!(first.header("x-idempotent-replay"), Some("false"));
    assert_eq!(again.header("x-idempotent-replay"), Some("true"));
    assert_eq!(first.body, again.body);
    let location = format!("/v1/bookings/{}", again.json()["booking"]["id"].as_str().expect("an id"));
    assert_eq!(again.header("location"), Some(location.as_str()));
}

#[actix_web::test]
async fn request_ids_are_echoed_when_sane_and_made_up_otherwise() {
    let house = House::that(Mood::Accepts);
    let with = |id: &str| TestRequest::get().uri("/health/live").insert_header(("x-request-id", id.to_owned()));
    assert_eq!(send(&house, with("abc-123")).await.header("x-request-id"), Some("abc-123"));
    for insane in ["two words", &"x".repeat(129), ""] {
        let reply = send(&house, with(insane)).await;
        let id = reply.header("x-request-id").expect("each answer has one");
        assert!(id.parse::<uuid::Uuid>().is_ok(), "{id}");
    }
    assert!(send(&house, get("/v1/nothing")).await.header("x-request-id").is_some());
}

#[test]
fn a_log_of_nothing_but_errors_names_the_request_too() {
    let log = tracing_subscriber::registry().with(tracing_subscriber::EnvFilter::new("error"));
    let _log = tracing::subscriber::set_default(log);
    let request = TestRequest::default().to_http_request();
    assert!(!trace::request_span("GET /health/live", "GET", "/health/live", &request).is_disabled());
}

#[actix_web::test]
async fn limited_routes_count_by_user_and_route() {
    let house = House::that(Mood::Accepts);
    let limited = || Door { rate_limiter: Some(Arc::new(LocalRateLimiter::new(2, RATE_WINDOW))), ..door(&house) };
    let book = |role| as_role(post("/v1/bookings", &new_booking()), role);
    let cancel = post(&format!("/v1/bookings/{BOOKING}/cancel"), &json!({ "bookingId": BOOKING }));
    let requests = vec![book("owner"), book("owner"), book("owner"), book("manager"), cancel, get("/v1/services")];
    let replies = send_all(limited(), requests).await;
    let left: Vec<Option<&str>> = replies.iter().map(|reply| reply.header("ratelimit-remaining")).collect();
    assert_eq!(left, [Some("1"), Some("0"), Some("0"), Some("1"), Some("1"), None]);
    replies[2].problem(429, "rate-limited");
    assert_eq!(replies[2].header("retry-after"), Some("60"));
    assert_eq!(replies[0].header("ratelimit-limit"), Some("2"));
    assert_eq!(replies[0].header("ratelimit-reset"), Some("60"));
    let table: Vec<&str> = ROUTES.iter().filter(|route| route.rate_limited).map(|route| route.path).collect();
    let (create, id) = ("/v1/bookings", "/v1/bookings/{bookingId}");
    assert_eq!(table, ["/v1/bookings/availability", create, &format!("{id}/reschedule"), &format!("{id}/cancel")]);
}

#[actix_web::test]
async fn browsers_of_listed_origins_may_ask_and_read_our_headers() {
    let house = House::that(Mood::Accepts);
    let preflight = |origin: &str| {
        TestRequest::with_uri("/v1/bookings")
            .method(actix_web::http::Method::OPTIONS)
            .insert_header(("origin", origin.to_owned()))
            .insert_header(("access-control-request-method", "POST"))
            .insert_header((
                "access-control-request-headers",
                "authorization,x-workspace-id,idempotency-key,content-type",
            ))
    };
    let reply = send(&house, preflight("https://salon.example")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://salon.example"));
    assert!(reply.header("x-request-id").is_some());
    let stranger = send(&house, preflight("https://elsewhere.example")).await;
    assert_eq!(stranger.header("access-control-allow-origin"), None);
    stranger.problem(400, "bad-request");

    let failing = House::that(Mood::Hangs);
    let request = get(&format!("/v1/bookings/{BOOKING}")).insert_header(("origin", "https://salon.example"));
    let reply = send(&failing, request).await;
    reply.problem(503, "unavailable");
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://salon.example"));
    let exposed = reply.header("access-control-expose-headers").expect("listed").to_lowercase();
    for name in ["x-request-id", "x-idempotent-replay", "etag", "link", "ratelimit-remaining", "retry-after"] {
        assert!(exposed.contains(name), "{name} in {exposed}");
    }
}

#[actix_web::test]
async fn versions_travel_as_entity_tags() {
    let house = House::that(Mood::Accepts);
    // A customer's tag is a version, a service's a hash.
    for uri in [format!("/v1/customers/{CUSTOMER}"), format!("/v1/services/{HAIRCUT}")] {
        let tag = send(&house, get(&uri)).await.header("etag").expect("a tag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"1\", {tag}"), "*".to_owned()] {
            let reply = send(&house, get(&uri).insert_header(("if-none-match", known))).await;
            assert_eq!((reply.status.as_u16(), reply.body.len(), reply.header("etag")), (304, 0, Some(tag.as_str())));
        }
        assert_eq!(send(&house, get(&uri).insert_header(("if-none-match", "\"2\""))).await.status, 200);
    }
    // The customer in a booking can change while the booking's version stays.
    let one = format!("/v1/bookings/{BOOKING}");
    let reply = send(&house, get(&one).insert_header(("if-none-match", "\"3\""))).await;
    assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, Some("\"3\"")));

    let confirm = |tag: &str| post(&format!("{one}/confirm"), &json!({})).insert_header(("if-match", tag.to_owned()));
    let changed = send(&house, confirm("\"2\"")).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, Some("\"3\"")));
    assert!(house.seen().last().expect("a command").ends_with("if Some(Version(2))"));
    assert_eq!(send(&house, confirm("*")).await.status, 200);
    assert!(house.seen().last().expect("a command").ends_with("if None"));
    send(&house, confirm("W/\"2\"")).await.problem(400, "bad-request");
}

#[actix_web::test]
async fn a_known_path_names_its_methods() {
    let reply = send(&House::that(Mood::Accepts), as_role(TestRequest::delete().uri("/v1/bookings"), "owner")).await;
    reply.problem(405, "method-not-allowed");
    assert_eq!(reply.header("allow"), Some("GET, POST"));
}

#[actix_web::test]
async fn failures_show_nothing_of_the_inside() {
    let unavailable = CommandError::Unavailable { reason: "postgres at 10.0.0.7".to_owned(), retry_after_seconds: 4 };
    let rows = [
        (Mood::Fails(unavailable), 503, "unavailable", Some("4")),
        (Mood::Fails(CommandError::Timeout), 503, "unavailable", Some("1")),
        (Mood::Hangs, 503, "unavailable", Some("1")),
        (Mood::Fails(CommandError::Internal("row 17 of 10.0.0.7".to_owned())), 500, "internal-error", None),
        (Mood::Panics, 500, "internal-error", None),
        (Mood::Fails(CommandError::IdempotencyConflict), 409, "idempotency-conflict", None),
    ];
    for (mood, status, slug, retry_after) in rows {
        let reply = send(&House::that(mood), post("/v1/bookings", &new_booking())).await;
        reply.problem(status, slug);
        assert_eq!(reply.header("retry-after"), retry_after);
        assert!(!reply.text().contains("10.0.0.7"), "{}", reply.text());
    }
    let reply = send(&House::that(Mood::Fails(CommandError::Timeout)), get("/v1/bookings")).await;
    reply.problem(503, "unavailable");
    assert!(!reply.text().contains("10.0.0.7"));
}

#[actix_web::test]
async fn one_worker_goes_on_after_a_panic() {
    let house = House::that(Mood::Panics);
    let requests = vec![post("/v1/bookings", &new_booking()), get("/v1/services")];
    let replies = send_all(door(&house), requests).await;
    assert_eq!([replies[0].status.as_u16(), replies[1].status.as_u16()], [500, 200]);
    assert_eq!(KEY.len(), 16, "the shortest key that is allowed");
}

#[actix_web::test]
async fn health_says_what_is_missing() {
    let up = House::that(Mood::Accepts);
    let public = |uri: &str| TestRequest::get().uri(uri);
    assert_eq!(send(&up, public("/health/live")).await.status, 200);
    assert_eq!(send(&up, public("/health/ready")).await.json(), json!({ "status": "ok", "missing": [] }));
    assert_eq!(send_to(door(&up), public("/metrics")).await.text(), "codeccloud_up 1\n");
    let down = House::that(Mood::Hangs);
    let reply = send(&down, public("/health/ready")).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["missing"], json!(["database"]));
    assert_eq!(send(&down, public("/health/live")).await.status, 200);
}
