//! The day view as HTTP: who gets in, what they see, and that nothing there changes anything.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use codeccloud::auth::{Grant, mint};
use codeccloud::clock::{SystemClock, SystemIds};
use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::UserId;
use codeccloud_actors::ports::{Clock, Ids};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::json;

use crate::support::{Mode, Salon, Server, TestDir, in_both_modes, key, token};

in_both_modes!(
    a_salon_sees_its_own_day_with_what_began_the_evening_before,
    the_stream_tells_of_a_booking_and_ends_when_the_server_stops,
    whoever_leads_the_salon_gets_in_and_nobody_else,
    a_session_is_a_guarded_cookie_that_ends_with_its_token,
    the_pages_only_read,
);

async fn whoever_leads_the_salon_gets_in_and_nobody_else(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    for role in ["owner", "manager"] {
        let member = server.member_of(&salon, dir.path(), role).await;
        let entered = enter(&server, &member.token).await;
        assert_eq!((entered.status, entered.location.as_deref()), (303, Some("/admin")), "{role}");
        let shown = look(&server, "/admin", &member.token).await;
        assert!(shown.status == 200 && shown.text.contains("Salon Aare"), "{role}: {shown:?}");
    }
    let operator = token(dir.path(), "salon-aare", "operator");
    assert_eq!(enter(&server, &operator).await.status, 303);
    let staff = server.member_of(&salon, dir.path(), "staff").await.token;
    let customer = token(dir.path(), "salon-aare", "customer");
    for refused in [&staff, &customer, &salon.token] {
        let entered = enter(&server, refused).await;
        assert_eq!((entered.status, entered.cookie), (403, None));
        assert!(entered.text.contains("This page is for managers and owners."), "{}", entered.text);
        for path in ["/admin", "/admin/stream"] {
            let shown = look(&server, path, refused).await;
            assert!(shown.status == 403 && !shown.text.contains("Lea"), "{path}: {shown:?}");
        }
    }
    for unknown in ["", "no.such.token", &operator[..operator.len() - 3]] {
        let entered = enter(&server, unknown).await;
        assert_eq!((entered.status, entered.cookie), (401, None));
        assert!(entered.text.contains("The token is not valid, or has expired."), "{}", entered.text);
    }
}

async fn a_session_is_a_guarded_cookie_that_ends_with_its_token(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let short = operator_token(dir.path(), &salon, 90);
    let cookie = enter(&server, &short).await.cookie.unwrap();
    let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/admin"] {
        assert!(attributes.contains(&attribute), "{attribute} is missing: {cookie}");
    }
    assert!(!attributes.contains(&"Secure"), "{cookie}");
    let life = attributes.iter().find_map(|attribute| attribute.strip_prefix("Max-Age=")).unwrap();
    assert!((60..=90).contains(&life.parse::<i64>().unwrap()), "{cookie}");
    let behind_tls = entrance(&server, &short).header("X-Forwarded-Proto", "https");
    assert!(fetch(behind_tls).await.cookie.unwrap().contains("; Secure"));

    let left = fetch(browser().post(format!("{}/admin/logout", server.url))).await;
    assert_eq!((left.status, left.location.as_deref()), (303, Some("/admin/login")));
    assert!(left.cookie.unwrap().contains("Max-Age=0"));

    let expired = operator_token(dir.path(), &salon, -60);
    for (path, status) in [("/admin", 303), ("/admin/stream", 401)] {
        let shown = look(&server, path, &expired).await;
        assert_eq!(shown.status, status, "{shown:?}");
        assert!(status != 303 || shown.location.as_deref() == Some("/admin/login"), "{shown:?}");
    }
    // Half a minute after its end a token is still taken: clocks differ.
    let mut events = Events::of(&server, "2031-06-02", &operator_token(dir.path(), &salon, -28)).await;
    events.until("event: feed").await;
    events.end(Duration::from_secs(5)).await;
}

async fn a_salon_sees_its_own_day_with_what_began_the_evening_before(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let owner = server.member_of(&salon, dir.path(), "owner").await;
    let long = json!({ "name": "Nachtwache", "durationMinutes": 180, "price": salon.price });
    let long = server.post(&owner, "/v1/services", &key(), &long).await.json();
    // Nobody has set her hours, so she works at any.
    let nina = server.post(&owner, "/v1/staff", &key(), &json!({ "displayName": "Nina" })).await.json();
    let mut body = salon.booking(0, 0, 0);
    body["serviceId"] = long["id"].clone();
    body["staffId"] = nina["id"].clone();
    body["slotStart"] = json!("2031-06-02T22:30:00+02:00");
    body["slotEnd"] = json!("2031-06-03T01:30:00+02:00");
    let created = server.post(&owner, "/v1/bookings", &key(), &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let block = format!("booking-{}", created.json()["booking"]["id"].as_str().unwrap());

    for (date, place) in [("2031-06-02", "--from:1350;--length:90"), ("2031-06-03", "--from:0;--length:90")] {
        let shown = look(&server, &format!("/admin?date={date}"), &owner.token).await.text;
        assert!(shown.contains(&block) && shown.contains(place), "{date}: {shown}");
    }
    assert!(!look(&server, "/admin?date=2031-06-04", &owner.token).await.text.contains(&block));

    let foreign = token(dir.path(), "atelier-leman", "operator");
    let shown = look(&server, "/admin?date=2031-06-02", &foreign).await.text;
    assert!(shown.contains("Atelier Léman") && shown.contains("Chloé"), "{shown}");
    assert!(!shown.contains(&block) && !shown.contains("Nina") && !shown.contains("Salon Aare"), "{shown}");
    let mut events = Events::of(&server, "2031-06-02", &foreign).await;
    events.until("event: day").await;
    assert!(!events.text().contains(&block) && !events.text().contains("Nina"), "{}", events.text());
}

async fn the_stream_tells_of_a_booking_and_ends_when_the_server_stops(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let mut events = Events::of(&server, "2031-06-02", &operator_token(dir.path(), &salon, 60)).await;
    events.until("event: day").await;
    assert!(!events.text().contains("booking-"), "{}", events.text());
    let created = server.post(&salon, "/v1/bookings", &key(), &salon.booking(0, 0, 0)).await;
    let id = created.json()["booking"]["id"].as_str().unwrap().to_owned();
    events.until(&format!("booking-{id}")).await;
    // On another day there is nothing to tell of.
    let told = events.text().matches("event: day").count();
    let elsewhere = server.post(&salon, "/v1/bookings", &key(), &salon.booking(0, 1, 0)).await;
    assert_eq!(elsewhere.status, 201, "{}", elsewhere.text);
    events.until_beats(events.beats() + 2).await;
    assert_eq!(events.text().matches("event: day").count(), told);

    assert!(server.stop() < Duration::from_secs(10));
    events.end(Duration::from_secs(1)).await;
}

async fn the_pages_only_read(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let session = operator_token(dir.path(), &salon, 60);
    let paths = ["/admin", "/admin/login", "/admin/logout", "/admin/stream", "/admin/assets/day.js"];
    for path in paths {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if method == Method::POST && ["/admin/login", "/admin/logout"].contains(&path) {
                continue;
            }
            let request = browser().request(method.clone(), format!("{}{path}", server.url));
            let answer = request.header("Cookie", format!("codeccloud_admin={session}")).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert!(answer.headers().contains_key("Allow"), "{method} {path}");
            assert_eq!(answer.headers()["Content-Type"], "application/problem+json", "{method} {path}");
        }
    }
    // The session is good for these pages only, so no other site can book with it.
    let booking = server.client.get(format!("{}/v1/bookings", server.url)).header("X-Workspace-ID", &salon.tenant_id);
    let answer = booking.header("Cookie", format!("codeccloud_admin={session}")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let nonsense = look(&server, "/admin?date=tomorrow", &session).await;
    assert!(nonsense.status == 400 && nonsense.text.contains("date must be a day"), "{nonsense:?}");
    assert_eq!(look(&server, "/admin/stream?date=2031-13-01", &session).await.status, 400);
    assert_eq!(look(&server, "/admin/assets/icon.svg", "").await.status, 200);
    assert_eq!(look(&server, "/admin/assets/mod.rs", "").await.status, 404);
    let metrics = look(&server, "/metrics", "").await.text;
    for (route, status) in [("/admin", 400), ("/admin/stream", 400), ("/admin/assets/{name}", 404)] {
        let series = format!("route=\"{route}\",method=\"GET\",status=\"{status}\"}} 1\n");
        assert!(metrics.contains(&series), "no {series} in\n{metrics}");
    }
}

#[derive(Debug)]
struct Page {
    status: u16,
    location: Option<String>,
    cookie: Option<String>,
    text: String,
}

async fn fetch(request: RequestBuilder) -> Page {
    let answer = request.send().await.unwrap();
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Page {
        status: answer.status().as_u16(),
        location: header("Location"),
        cookie: header("Set-Cookie"),
        text: answer.text().await.unwrap(),
    }
}

fn browser() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

fn entrance(server: &Server, token: &str) -> RequestBuilder {
    let form = browser().post(format!("{}/admin/login", server.url));
    form.header("Content-Type", "application/x-www-form-urlencoded").body(format!("token={token}"))
}

async fn enter(server: &Server, token: &str) -> Page {
    fetch(entrance(server, token)).await
}

async fn look(server: &Server, path: &str, session: &str) -> Page {
    let request = browser().get(format!("{}{path}", server.url));
    fetch(request.header("Cookie", format!("codeccloud_admin={session}"))).await
}

/// Of someone who is a member nowhere; a negative time is one that has passed.
pub fn operator_token(data_dir: &Path, salon: &Salon, valid_seconds: i64) -> String {
    let secrets: toml::Table = std::fs::read_to_string(data_dir.join("secrets.toml")).unwrap().parse().unwrap();
    let tenant_id = salon.tenant_id.parse().unwrap();
    let grant = Grant { user_id: UserId(SystemIds.uuid()), tenant_id, role: Role::Operator };
    mint(secrets["jwt_secret"].as_str().unwrap(), grant, SystemClock.now(), valid_seconds)
}

/// A stream of events, as far as it has come.
struct Events {
    answer: Response,
    bytes: Vec<u8>,
}

impl Events {
    async fn of(server: &Server, date: &str, session: &str) -> Events {
        let request = browser().get(format!("{}/admin/stream?date={date}", server.url));
        let answer = request.header("Cookie", format!("codeccloud_admin={session}")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["Content-Type"], "text/event-stream");
        Events { answer, bytes: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    async fn until(&mut self, wanted: &str) {
        while !self.text().contains(wanted) {
            self.more().await;
        }
    }

    fn beats(&self) -> usize {
        self.text().matches("event: feed").count()
    }

    async fn until_beats(&mut self, wanted: usize) {
        while self.beats() < wanted {
            self.more().await;
        }
    }

    async fn more(&mut self) {
        let chunk = tokio::time::timeout(Duration::from_secs(10), self.answer.chunk()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("nothing more than: {}", self.text())).unwrap();
        let chunk = chunk.unwrap_or_else(|| panic!("ended after: {}", self.text()));
        self.bytes.extend(chunk);
    }

    /// Fails unless the stream ends, in order, within that time.
    async fn end(&mut self, within: Duration) {
        let rest = async { while self.answer.chunk().await.unwrap().is_some() {} };
        assert!(tokio::time::timeout(within, rest).await.is_ok(), "the stream goes on");
    }
}
