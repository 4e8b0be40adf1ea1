//! Whoever is no part of a salon finds nothing of it and changes nothing in it, and each role does what the route table
//! says. The walks go over the table itself, so a new route is walked as soon as it is in there.
//!
//! What a walk can't know by itself of a new route: the ids of what its path names, in [`Salons::ids`], and values of
//! fields that are more than their schema says, in [`request::field`]. It fails with a message that says so.

mod request;
mod roles;
mod strangers;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use codeccloud::clock::{SystemClock, SystemIds};
use codeccloud::postgres::embedded::superuser_url_of;
use codeccloud_actors::ports::{Clock as _, Ids as _};
use codeccloud_actors::time::DAY_MS;
use serde_json::{Value, json};

use crate::support::receiver::Receiver;
use crate::support::{Mode, Reply, Salon, Server, TestDir, connect, key, token};

/// Of a salon: what each path parameter and id field stands for there.
type Ids = BTreeMap<&'static str, String>;

/// Words that are in everything of salon B that is told to somebody who may see it.
const MARK: &str = "Verschwiegenheit";

/// Two salons on one server, each with something of everything.
struct Salons {
    server: Server,
    dir: TestDir,
    a: Salon,
    b: Salon,
    ids_of_a: Ids,
    ids_of_b: Ids,
}

impl Salons {
    async fn open(mode: Mode) -> Salons {
        let dir = TestDir::new();
        let server = mode.start_with(dir.path(), &[("CODECCLOUD_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES", "true")]);
        server.ready().await;
        let a = server.salon(dir.path()).await;
        let b = server.salon_named(dir.path(), "atelier-leman").await;
        let ids_of_a = Salons::ids(&server, &dir, &a, "Anna").await;
        let ids_of_b = Salons::ids(&server, &dir, &b, MARK).await;
        outbox_is_done(&dir).await;
        Salons { server, dir, a, b, ids_of_a, ids_of_b }
    }

    /// Makes what the salon is to have, and says by which ids it is found.
    async fn ids(server: &Server, dir: &TestDir, salon: &Salon, name: &str) -> Ids {
        let owner = server.member_of(salon, dir.path(), "owner").await;
        let service =
            made(server, &owner, "/v1/services", &json!({ "name": name, "durationMinutes": 30, "price": salon.price }))
                .await;
        let staff = made(server, &owner, "/v1/staff", &json!({ "displayName": name })).await;
        let time_off = format!("/v1/staff/{}/time-off", text(&staff["id"]));
        let off = json!({ "start": "2031-12-24T08:00:00Z", "end": "2031-12-24T18:00:00Z" });
        let off = made(server, &owner, &time_off, &off).await;
        let mut booking = salon.booking(0, 0, 0);
        booking["serviceId"] = service["id"].clone();
        booking["staffId"] = staff["id"].clone();
        booking["slotEnd"] = json!("2031-06-02T07:30:00.000Z");
        booking["customer"]["id"] = json!(SystemIds.uuid());
        booking["customer"]["lastName"] = json!(name);
        booking["notes"] = json!(name);
        let webhook =
            made(server, &owner, "/v1/webhooks", &json!({ "url": Receiver::that_answers(204).url, "eventTypes": [] }))
                .await;
        let booked = made(server, &owner, "/v1/bookings", &booking).await;
        let delivery = delivered(server, &owner, &text(&webhook["webhook"]["id"])).await;
        let product = json!({ "sku": name, "name": name, "price": { "currency": "CHF", "amount": 2450 } });
        let product = made(server, &owner, "/v1/products", &product).await;
        let receive = format!("/v1/products/{}/receive", text(&product["id"]));
        done(server, &owner, &receive, &json!({ "quantity": 100 })).await;
        let reserve = json!({
            "lines": [{ "productId": product["id"], "quantity": 10 }],
            "expiresAt": SystemClock.now().plus_millis(DAY_MS),
        });
        let reserved = done(server, &owner, "/v1/stock/reserve", &reserve).await;
        Ids::from([
            ("webhookId", text(&webhook["webhook"]["id"])),
            ("deliveryId", delivery),
            ("productId", text(&product["id"])),
            ("reservationId", text(&reserved["reservationId"])),
            ("serviceId", text(&service["id"])),
            ("staffId", text(&staff["id"])),
            ("timeOffId", text(&off["id"])),
            ("bookingId", text(&booked["booking"]["id"])),
            ("customerId", text(&booking["customer"]["id"])),
        ])
    }

    fn as_role(&self, salon: &Salon, role: &str) -> Salon {
        Salon { token: token(self.dir.path(), &salon.tenant_id, role), ..salon.clone() }
    }

    async fn document(&self) -> Value {
        let answer = self.server.client.get(format!("{}/openapi.json", self.server.url)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn send(&self, caller: &Salon, request: &request::Request) -> Reply {
        let (method, body) = (request.method.clone(), request.body.as_ref());
        self.server.send(method, caller, &request.path, Some(&key()), body).await.unwrap()
    }
}

async fn made(server: &Server, owner: &Salon, path: &str, body: &Value) -> Value {
    answered(server, owner, path, body, 201).await
}

async fn done(server: &Server, owner: &Salon, path: &str, body: &Value) -> Value {
    answered(server, owner, path, body, 200).await
}

async fn answered(server: &Server, owner: &Salon, path: &str, body: &Value, status: u16) -> Value {
    let reply = server.post(owner, path, &key(), body).await;
    assert_eq!(reply.status, status, "{path}: {}", reply.text);
    reply.json()
}

/// The delivery of what has happened, once it has arrived: while it is under way, it changes the salon's rows.
async fn delivered(server: &Server, owner: &Salon, webhook: &str) -> String {
    let path = format!("/v1/webhooks/{webhook}/deliveries");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let deliveries = server.get(owner, &path).await.json();
        if let Some(done) = deliveries["data"].as_array().unwrap().iter().find(|one| one["state"] == "done") {
            return text(&done["id"]);
        }
        assert!(Instant::now() < deadline, "{deliveries}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What it still marks would count as a change by whoever is asking meanwhile.
async fn outbox_is_done(dir: &TestDir) {
    let superuser = connect(&superuser_url_of(dir.path()).unwrap()).await;
    let open = "select (select count(*) from outbox_events where processed_at is null)
        + (select count(*) from app_private.outbox_finished)";
    let deadline = Instant::now() + Duration::from_secs(30);
    while superuser.query_one(open, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(Instant::now() < deadline, "entries of the outbox stay open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
