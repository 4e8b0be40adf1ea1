//! A Monday at the demo salon with something of everything.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Salon, Server, key};

pub const DATE: &str = "2031-06-02";

/// Who, when, what, and what became of it.
const DAY: [(&str, &str, &str, &[&str]); 20] = [
    ("Elias", "09:00", "Haarschnitt", &["check-in", "complete"]),
    ("Elias", "10:00", "Bartpflege", &["no-show"]),
    ("Elias", "10:45", "Färben", &["check-in"]),
    ("Elias", "13:30", "Haarschnitt", &["confirm"]),
    ("Elias", "14:30", "Färben", &[]),
    ("Lea", "09:30", "Färben", &["check-in", "complete"]),
    ("Lea", "11:15", "Haarschnitt", &["check-in"]),
    ("Lea", "13:00", "Bartpflege", &["cancel"]),
    ("Lea", "13:45", "Färben", &["confirm"]),
    ("Lea", "16:15", "Haarschnitt", &[]),
    ("Mia", "09:15", "Bartpflege", &["check-in", "complete"]),
    ("Mia", "10:00", "Haarschnitt", &["check-in", "complete"]),
    ("Mia", "11:00", "Bartpflege", &["confirm"]),
    ("Mia", "12:30", "Färben", &["confirm"]),
    ("Mia", "15:15", "Haarschnitt", &[]),
    ("Noah", "09:00", "Färben", &["check-in", "complete"]),
    ("Noah", "11:00", "Haarschnitt", &["cancel"]),
    ("Noah", "11:00", "Bartpflege", &["check-in"]),
    ("Noah", "13:15", "Haarschnitt", &["confirm"]),
    ("Noah", "14:45", "Färben", &[]),
];

/// Bookings of that day, made as a front-end makes them.
pub struct Agenda<'a> {
    server: &'a Server,
    member: &'a Salon,
    services: Vec<Value>,
    staff: Vec<Value>,
}

impl<'a> Agenda<'a> {
    pub async fn of(server: &'a Server, member: &'a Salon) -> Agenda<'a> {
        let list = async |path| server.get(member, path).await.json().as_array().unwrap().clone();
        Agenda { server, member, services: list("/v1/services").await, staff: list("/v1/staff").await }
    }

    pub async fn fill(&self) {
        for (who, time, what, steps) in DAY {
            let id = self.book(who, time, what).await;
            for step in steps {
                self.change(&id, step, json!({})).await;
            }
        }
    }

    /// The booking's id.
    pub async fn book(&self, who: &str, time: &str, what: &str) -> String {
        let service = named(&self.services, "name", what);
        let mut body = slot(time, service);
        body["serviceId"] = service["id"].clone();
        body["staffId"] = named(&self.staff, "displayName", who)["id"].clone();
        body["price"] = service["price"].clone();
        body["customer"] = json!({
            "id": Uuid::from_u128(0x4000_8000_0000_0000_0001),
            "email": "anna@example.ch", "firstName": "Anna", "lastName": "Muster"
        });
        let created = self.server.post(self.member, "/v1/bookings", &key(), &body).await;
        assert_eq!(created.status, 201, "{who} at {time}: {}", created.text);
        created.json()["booking"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn reschedule(&self, id: &str, time: &str, what: &str) {
        self.change(id, "reschedule", slot(time, named(&self.services, "name", what))).await;
    }

    pub async fn change(&self, id: &str, step: &str, mut body: Value) {
        body["bookingId"] = json!(id);
        let changed = self.server.post(self.member, &format!("/v1/bookings/{id}/{step}"), &key(), &body).await;
        assert_eq!(changed.status, 200, "{step}: {}", changed.text);
    }
}

fn named<'a>(things: &'a [Value], field: &str, name: &str) -> &'a Value {
    things.iter().find(|thing| thing[field] == name).unwrap_or_else(|| panic!("there is no {name}"))
}

fn slot(time: &str, service: &Value) -> Value {
    let start: jiff::Timestamp = format!("{DATE}T{time}:00+02:00").parse().unwrap();
    let minutes = service["durationMinutes"].as_i64().unwrap();
    json!({ "slotStart": start.to_string(), "slotEnd": (start + jiff::SignedDuration::from_mins(minutes)).to_string() })
}
