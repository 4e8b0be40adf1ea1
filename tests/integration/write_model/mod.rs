//! What the write model promises beside its rules: who waits for whom, what a failure leaves behind, and what is told.

mod circles;
mod failures;
mod fence;
mod free_text;
mod microseconds;
mod own_rules;
mod prompt;
mod told;
mod waiting;

use codeccloud::postgres::embedded::superuser_url_of;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{Mode, Reply, Salon, Server, TestDir, connect, key};

/// A salon of a server of its own, and somebody at a prompt of its database, past all policies.
struct House {
    server: Server,
    salon: Salon,
    psql: Client,
    dir: TestDir,
}

impl House {
    async fn open(mode: Mode) -> House {
        let dir = TestDir::new();
        let server = mode.start(dir.path());
        server.ready().await;
        let salon = server.salon(dir.path()).await;
        let psql = connect(&superuser_url_of(dir.path()).unwrap()).await;
        House { server, salon, psql, dir }
    }

    fn tenant(&self) -> Uuid {
        self.salon.tenant_id.parse().unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.server.post(&self.salon, path, &key(), body).await
    }

    /// Its id.
    async fn booked(&self, body: &Value) -> String {
        let booked = self.post("/v1/bookings", body).await;
        assert_eq!(booked.status, 201, "{}", booked.text);
        booked.json()["booking"]["id"].as_str().unwrap().to_owned()
    }

    async fn step(&self, booking: &str, step: &str, more: Value) -> Reply {
        let mut body = json!({ "bookingId": booking });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.post(&format!("/v1/bookings/{booking}/{step}"), &body).await
    }

    async fn owner(&self) -> Salon {
        self.server.member_of(&self.salon, self.dir.path(), "owner").await
    }

    async fn number(&self, sql: &str) -> i64 {
        self.psql.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// An appointment that other software has made, on June 3rd 2031, between two times of the day; returns its id.
    async fn booked_elsewhere(&self, person: usize, from: &str, to: &str, customer: Option<Uuid>) -> Uuid {
        let (staff, service): (Uuid, Uuid) =
            (self.salon.staff_ids[person].parse().unwrap(), self.salon.service_id.parse().unwrap());
        let sql = "INSERT INTO appointments (tenant_id, code, customer_id, staff_id, service_id, status, slot_start, slot_end) \
                   VALUES ($1, left(gen_random_uuid()::text, 8), $2, $3, $4, 'scheduled', \
                   ('2031-06-03T' || $5::text || 'Z')::timestamptz, ('2031-06-03T' || $6::text || 'Z')::timestamptz) \
                   RETURNING id";
        self.psql.execute("SELECT app_private.create_appointments_partition('2031-06-01')", &[]).await.unwrap();
        let made = self.psql.query_one(sql, &[&self.tenant(), &customer, &staff, &service, &from, &to]).await;
        made.unwrap().get(0)
    }
}
