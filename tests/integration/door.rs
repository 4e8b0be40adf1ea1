//! The wire contract, row by row, at the door of a real server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use codeccloud::http::{Access, ROUTES};
use codeccloud::postgres::embedded::url_of;
use codeccloud_actors::aggregates::loyalty_balance::{LoyaltyBalanceEvent, PointsAccrued};
use codeccloud_actors::envelope::Role;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{AggregateType, BookingId, StreamId, Version};
use codeccloud_actors::ports::StreamAppend;
use codeccloud_actors::time::Timestamp;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::appends::{append, events, journal_on, submit_all};
use crate::support::{Salon, Server, TestDir, connect, database_of, key, token};

const NOWHERE: &str = "00000000-0000-4000-8000-0000000000ff";

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Every problem has the whole shape; returns its fields with errors.
    fn problem(&self, status: u16, slug: &str, what: &str) -> Vec<&str> {
        let Answer { body, .. } = self;
        assert_eq!((self.status, &body["status"]), (status, &json!(status)), "{what}: {body}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{what}");
        assert_eq!(body["type"], format!("https://codeccloud.ch/problems/{slug}"), "{what}");
        assert!(["title", "detail", "instance"].iter().all(|field| body[field].is_string()), "{what}: {body}");
        assert_eq!(body["requestId"].as_str(), self.header("x-request-id"), "{what}");
        body["errors"].as_array().into_iter().flatten().map(|error| error["field"].as_str().unwrap()).collect()
    }
}

async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null);
    Answer { status, headers, body }
}

fn request(server: &Server, salon: &Salon, method: Method, path: &str) -> RequestBuilder {
    let request = server.client.request(method, format!("{}{path}", server.url));
    request.bearer_auth(&salon.token).header("X-Workspace-ID", &salon.tenant_id).header("Idempotency-Key", key())
}

async fn send(server: &Server, salon: &Salon, method: Method, path: &str, body: &Value) -> Answer {
    let request = request(server, salon, method, path).header("Content-Type", "application/json");
    answer(request.body(body.to_string())).await
}

async fn post(server: &Server, salon: &Salon, path: &str, body: &Value) -> Answer {
    send(server, salon, Method::POST, path, body).await
}

async fn get(server: &Server, salon: &Salon, path: &str) -> Answer {
    answer(request(server, salon, Method::GET, path)).await
}

/// The salon as a person of that role sees it.
fn as_role(salon: &Salon, dir: &TestDir, role: &str) -> Salon {
    Salon { token: token(dir.path(), &salon.tenant_id, role), ..salon.clone() }
}

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_passes_where_the_table_lets_it() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    for role in Role::ALL {
        let member = matches!(role, Role::Owner | Role::Manager | Role::Staff);
        let caller = match member {
            true => server.member_of(&salon, dir.path(), role.as_str()).await,
            false => as_role(&salon, &dir, role.as_str()),
        };
        for route in ROUTES {
            let path = route.path_parameters().fold(route.path.to_owned(), |path, name| {
                let id = if name == "date" { "2031-06-02" } else { NOWHERE };
                path.replace(&format!("{{{name}}}"), id)
            });
            let method: Method = route.verb.as_str().parse().unwrap();
            let answer = send(&server, &caller, method, &path, &json!({})).await;
            let what = format!("{} {} as {}: {}", route.verb.as_str(), route.path, role.as_str(), answer.body);
            assert_eq!(answer.status != 403, route.access.allows(role), "{what}");
            assert!(route.access == Access::Public || answer.status != 401, "{what}");
        }
    }
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let invitation = json!({ "email": "bea@example.ch", "role": "staff", "displayName": "Bea" });
    assert_eq!(post(&server, &manager, "/v1/staff/invite", &invitation).await.status, 201);
    let promotion = with(invitation, "/role", json!("owner"));
    post(&server, &manager, "/v1/staff/invite", &promotion).await.problem(403, "forbidden", "only owners make owners");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspace_is_closed_and_what_is_in_it_is_not_there() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let booked = post(&server, &salon, "/v1/bookings", &salon.booking(0, 0, 0)).await;
    let booking = format!("/v1/bookings/{}", booked.body["booking"]["id"].as_str().unwrap());
    let url = url_of(dir.path()).unwrap();
    let rows = connect(&url.replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let other: Uuid = rows.query_one("select id from tenants where slug = 'atelier-leman'", &[]).await.unwrap().get(0);
    let tenant_id = other.to_string();
    let foreign = Salon { token: token(dir.path(), &tenant_id, "service"), tenant_id, ..salon.clone() };

    let mixed = Salon { tenant_id: foreign.tenant_id.clone(), ..salon.clone() };
    get(&server, &mixed, "/v1/services").await.problem(403, "forbidden", "the token is another workspace's");
    let bare = server.client.get(format!("{}/v1/services", server.url)).bearer_auth(&salon.token);
    answer(bare).await.problem(401, "unauthorized", "no workspace");
    let forged = Salon { token: format!("{}x", salon.token), ..salon.clone() };
    get(&server, &forged, "/v1/services").await.problem(401, "unauthorized", "a forged token");

    let (service, staff) = (&salon.service_id, &salon.staff_ids[0]);
    let day = "from=2031-06-02T00:00:00Z&to=2031-06-03T00:00:00Z";
    let availability = format!("/v1/bookings/availability?serviceId={service}&{day}");
    for path in [booking.as_str(), &format!("/v1/services/{service}"), &format!("/v1/staff/{staff}"), &availability] {
        get(&server, &foreign, path).await.problem(404, "not-found", path);
        assert_eq!(get(&server, &salon, path).await.status, 200, "{path}");
    }
    let body = salon.booking(0, 0, 1);
    post(&server, &foreign, "/v1/bookings", &body).await.problem(404, "not-found", "a foreign service");
    let id = json!({ "bookingId": booked.body["booking"]["id"] });
    post(&server, &foreign, &format!("{booking}/cancel"), &id).await.problem(404, "not-found", "a foreign booking");
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_get_the_answers_of_the_contract() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let good = salon.booking(0, 0, 0);
    let change = |pointer: &str, value: Value| with(good.clone(), pointer, value);
    let invalid = [
        ("slotEnd", change("/slotEnd", good["slotStart"].clone())),
        ("slotEnd", change("/slotEnd", json!("2031-06-01T07:00:00Z"))),
        ("slotEnd", change("/slotEnd", json!("2031-06-03T07:00:00.001Z"))),
        ("slotStart", change("/slotStart", json!("2031-06-02T07:00:00"))),
        (
            "slotStart",
            with(change("/slotStart", json!("2020-01-01T09:00:00Z")), "/slotEnd", json!("2020-01-01T10:00:00Z")),
        ),
        ("price.amount", change("/price/amount", json!(-1))),
        ("price.currency", change("/price/currency", json!("USD"))),
        ("price.amount", change("/price/amount", json!("85"))),
        ("serviceId", change("/serviceId", json!(7))),
    ];
    for (field, body) in &invalid {
        let answer = post(&server, &salon, "/v1/bookings", body).await;
        assert_eq!(answer.problem(422, "validation-error", field), [*field], "{body}");
    }
    for (what, pointer) in [("service", "/serviceId"), ("staff", "/staffId")] {
        let answer = post(&server, &salon, "/v1/bookings", &change(pointer, json!(NOWHERE))).await;
        answer.problem(404, "not-found", what);
        assert!(answer.body["detail"].as_str().unwrap().contains(what), "{}", answer.body);
    }
    get(&server, &salon, &format!("/v1/bookings/{NOWHERE}")).await.problem(404, "not-found", "an unknown booking");
    let span = "from=2031-01-01T00:00:00Z&to=2031-04-03T00:00:00.001Z";
    let long = format!("/v1/bookings/availability?serviceId={}&{span}", salon.service_id);
    assert_eq!(get(&server, &salon, &long).await.problem(422, "validation-error", "93 days"), ["to"]);

    // Length and price are for the salon to give, not for the customer to take.
    let customer = as_role(&salon, &dir, "customer");
    let own: Value = change("/customer/id", json!(subject(&customer.token)));
    let other = post(&server, &customer, "/v1/bookings", &good).await;
    other.problem(403, "forbidden", "somebody else");
    let cheap = with(own.clone(), "/price/amount", json!(1));
    let longer = with(own.clone(), "/slotEnd", json!("2031-06-02T09:30:00Z"));
    for (field, body) in [("price", &cheap), ("slotEnd", &longer)] {
        let answer = post(&server, &customer, "/v1/bookings", body).await;
        assert_eq!(answer.problem(422, "validation-error", field), [field]);
    }
    assert_eq!(post(&server, &customer, "/v1/bookings", &own).await.status, 201);
    let as_sent = with(salon.booking(0, 0, 4), "/price/amount", json!(1));
    assert_eq!(post(&server, &salon, "/v1/bookings", &as_sent).await.status, 201, "a front-end's server may");
}

/// The token's `sub`.
fn subject(token: &str) -> String {
    use base64::Engine;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["sub"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_a_slot_is_named() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let price = json!({ "currency": "CHF", "amount": 6000 });
    let buffered = json!({ "name": "Peeling", "durationMinutes": 30, "price": price, "bufferAfterMinutes": 30 });
    let buffered = post(&server, &manager, "/v1/services", &buffered).await.body["id"].clone();
    let only = json!({ "name": "Locken", "durationMinutes": 30, "price": price, "staffIds": [salon.staff_ids[1]] });
    let only = post(&server, &manager, "/v1/services", &only).await.body["id"].clone();
    let free = salon.booking(2, 0, 0);
    let time_off = json!({ "start": free["slotStart"], "end": free["slotEnd"] });
    let path = format!("/v1/staff/{}/time-off", salon.staff_ids[2]);
    assert_eq!(post(&server, &manager, &path, &time_off).await.status, 201);

    let first = with(salon.booking(0, 0, 0), "/serviceId", buffered);
    assert_eq!(post(&server, &salon, "/v1/bookings", &first).await.status, 201);
    let at_night = with(salon.booking(0, 0, 0), "/slotStart", json!("2031-06-02T01:00:00Z"));
    let at_night = with(at_night, "/slotEnd", json!("2031-06-02T01:30:00Z"));
    let rows = [
        ("taken", salon.booking(0, 0, 0)),
        ("buffer", salon.booking(0, 0, 1)),
        ("working hours", at_night),
        ("is off", free),
        ("not perform", with(salon.booking(0, 1, 0), "/serviceId", only)),
    ];
    for (reason, body) in rows {
        let answer = post(&server, &salon, "/v1/bookings", &body).await;
        answer.problem(409, "conflict", reason);
        assert!(answer.body["detail"].as_str().unwrap().contains(reason), "{reason}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_once_and_from_what_was_seen() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let key = key();
    let create = |body: Value| {
        let request = request(&server, &salon, Method::POST, "/v1/bookings").header("Content-Type", "application/json");
        let mut request = request.body(body.to_string()).build().unwrap();
        request.headers_mut().insert("Idempotency-Key", key.parse().unwrap());
        RequestBuilder::from_parts(server.client.clone(), request)
    };
    let first = answer(create(salon.booking(0, 0, 0))).await;
    let again = answer(create(salon.booking(0, 0, 0))).await;
    assert_eq!((first.status, first.header("x-idempotent-replay")), (201, Some("false")));
    assert_eq!((again.status, again.header("x-idempotent-replay")), (201, Some("true")));
    assert_eq!(first.body, again.body);
    answer(create(salon.booking(0, 0, 1))).await.problem(409, "idempotency-conflict", "another body");

    let id = first.body["booking"]["id"].as_str().unwrap();
    let path = format!("/v1/bookings/{id}");
    let seen = get(&server, &salon, &path).await.header("etag").unwrap().to_owned();
    let later = salon.booking(0, 0, 3);
    let (start, end) = (&later["slotStart"], &later["slotEnd"]);
    let moving = json!({ "bookingId": id, "slotStart": start, "slotEnd": end, "reason": "Zahnarzt" });
    let reschedule = |tag: &str| {
        let request = request(&server, &salon, Method::POST, &format!("{path}/reschedule"));
        request.header("Content-Type", "application/json").header("If-Match", tag).body(moving.to_string())
    };
    let moved = answer(reschedule(&seen)).await;
    assert_eq!((moved.status, &moved.body["booking"]["rescheduledFromId"]), (200, &json!(id)), "{}", moved.body);
    assert_ne!(moved.header("etag"), Some(seen.as_str()));
    answer(reschedule(&seen)).await.problem(412, "precondition-failed", "seen before the move");
    let other = with(moving.clone(), "/bookingId", json!(NOWHERE));
    post(&server, &salon, &format!("{path}/reschedule"), &other).await.problem(400, "bad-request", "another's id");

    let rows = connect(&url_of(dir.path()).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let kept = "select count(*) from vault_notes where booking_id = $1 and kind = 'reschedule_reason'";
    let id: Uuid = id.parse().unwrap();
    assert_eq!(rows.query_one(kept, &[&id]).await.unwrap().get::<_, i64>(0), 1, "why it was moved is in the vault");

    // One who knows the service as it was must not undo what another has changed since.
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let path = format!("/v1/services/{}", salon.service_id);
    let seen = get(&server, &manager, &path).await.header("etag").unwrap().to_owned();
    let rename = |name: &str| {
        let request = request(&server, &manager, Method::PATCH, &path).header("Content-Type", "application/json");
        request.header("If-Match", &seen).body(json!({ "name": name }).to_string())
    };
    assert_eq!(answer(rename("Bart")).await.status, 200);
    answer(rename("Kinn")).await.problem(412, "precondition-failed", "seen before the change");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_route_answers_is_a_problem_too_and_is_counted() {
    let dir = TestDir::new();
    let origin = "https://book.example.ch";
    let server = Server::start_with(dir.path(), &[("CORS_ALLOWED_ORIGINS", origin)]);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    get(&server, &salon, "/v1/nothing").await.problem(404, "not-found", "an unknown route");
    get(&server, &salon, "/wp-login.php").await.problem(404, "not-found", "another");
    let deleted = answer(request(&server, &salon, Method::DELETE, "/v1/bookings")).await;
    deleted.problem(405, "method-not-allowed", "a wrong method");
    assert_eq!(deleted.header("allow"), Some("GET, POST"));
    let invented = Method::from_bytes(b"BREW").unwrap();
    answer(request(&server, &salon, invented, "/v1/bookings")).await.problem(405, "method-not-allowed", "no method");
    answer(request(&server, &salon, Method::POST, "/admin")).await.problem(405, "method-not-allowed", "a live page");

    let raw = |kind: &str, body: String| {
        answer(request(&server, &salon, Method::POST, "/v1/bookings").header("Content-Type", kind).body(body))
    };
    let json = "application/json";
    let large = with(salon.booking(0, 0, 0), "/customer/firstName", json!("x".repeat(64 * 1024))).to_string();
    raw(json, large).await.problem(413, "payload-too-large", "64 KiB");
    raw("text/plain", salon.booking(0, 0, 0).to_string()).await.problem(415, "unsupported-media-type", "no JSON");
    raw(json, "{\"serviceId\":".to_owned()).await.problem(400, "bad-request", "broken JSON");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32));
    raw(json, deep).await.problem(400, "bad-request", "deep JSON");

    let preflight = |from: &'static str| {
        let request = server.client.request(Method::OPTIONS, format!("{}/v1/bookings", server.url));
        let asked = "authorization,content-type,idempotency-key,x-workspace-id,if-match";
        let request = request.header("Access-Control-Request-Headers", asked);
        answer(request.header("Origin", from).header("Access-Control-Request-Method", "POST"))
    };
    let allowed = preflight(origin).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, Some(origin)));
    preflight("https://elsewhere.example.ch").await.problem(400, "bad-request", "a stranger's page");
    let named = request(&server, &salon, Method::GET, "/v1/services").header("X-Request-ID", "front-end-7");
    assert_eq!(answer(named).await.header("x-request-id"), Some("front-end-7"));

    let metrics = server.client.get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
    let counted = |method: &str, status: u16| {
        metrics.lines().find(|line| {
            let labels = [format!("method=\"{method}\""), format!("status=\"{status}\"")];
            line.contains("route=\"unmatched\"") && labels.iter().all(|label| line.contains(label))
        })
    };
    for (method, status, count) in [("GET", 404, 2), ("DELETE", 405, 1), ("other", 405, 1), ("OPTIONS", 400, 1)] {
        let line = counted(method, status).unwrap_or_else(|| panic!("{method} {status} is not counted"));
        assert!(line.ends_with(&format!(" {count}")), "{line}");
    }
    assert!(!metrics.contains("wp-login"), "what clients make up makes no series");
}

/// Slow senders hold a connection, but nothing else and not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_too_long_is_told_to_come_back() {
    let dir = TestDir::new();
    let server = Server::start_with(dir.path(), &[("CODECCLOUD_SERVER_REQUEST_TIMEOUT_MS", "300")]);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let head = format!(
        "POST /v1/bookings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nX-Workspace-ID: {}\r\n\
         Idempotency-Key: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        salon.token,
        salon.tenant_id,
        key()
    );
    let slow_body = speak(&server, head.as_bytes()).to_lowercase();
    assert!(slow_body.starts_with("http/1.1 503"), "{slow_body}");
    assert!(slow_body.contains("retry-after: 1") && slow_body.contains("problems/unavailable"), "{slow_body}");
    let slow_head = speak(&server, b"GET /v1/services HTTP/1.1\r\nHost: x\r\n");
    assert!(slow_head.starts_with("HTTP/1.1 408"), "{slow_head}");
}

/// What the server says to that before it hangs up, or for ten seconds.
fn speak(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut said = [0; 4096];
    let length = stream.read(&mut said).unwrap();
    String::from_utf8_lossy(&said[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_points_are_gone_from_balance_and_history_alike() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let owner = server.member_of(&salon, dir.path(), "owner").await;
    let customer = Uuid::from_u128(0xC5);
    accrue_long_ago(&dir, &salon, customer, 40).await;
    let account = format!("/v1/loyalty/{customer}");
    let history = async |query: &str| get(&server, &owner, &format!("{account}/history{query}")).await.body;
    let points = |page: &Value| -> Vec<i64> {
        page["data"].as_array().unwrap().iter().map(|entry| entry["points"].as_i64().unwrap()).collect()
    };
    while points(&history("").await).len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
    let append = append(vec![StreamAppend { stream, expected: Version::NONE, events }]);
    submit_all(&journal, vec![append]).await.remove(0).unwrap();
}
