//! A data directory of the first capability: events of an older form, no rows beside them, and nothing of what came later.

use std::path::Path;

use codeccloud::postgres::embedded::EmbeddedPostgres;
use codeccloud::postgres::schema;
use serde_json::{Value, json};
use uuid::Uuid;

use super::figures::figures;
use super::rows::{Rows, superuser};
use crate::support::{Mode, Salon, Server, TestDir, connect, key};

/// Its last migration.
const SCHEMA: u32 = 14;

/// What is made from events, what later capabilities have brought, and what these have told.
const FORGET: &str = "
    set session_replication_role = replica;
    alter table audit_seals disable trigger all;
    alter table audit_log disable trigger all;
    delete from appointments; delete from loyalty_ledger; delete from loyalty_accounts; delete from sales_metrics;
    delete from availability_calendars; delete from audit_seals; delete from audit_log; delete from outbox_events;
    delete from snapshots; delete from projection_snapshots; delete from event_projection_offsets;
    set session_replication_role = default";

/// Version 1 did not say on which day a slot begins.
const FIRST_FORM: &str = "
    alter table event_store disable trigger all;
    update event_store set schema_version = 1, payload = payload - 'day'
        where event_type in ('booking_scheduled', 'booking_rescheduled');
    alter table event_store enable trigger all";

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_the_first_capability_gets_its_rows_from_its_events() {
    let dir = TestDir::new();
    let server = Mode::Scale.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let owner = server.member_of(&salon, dir.path(), "owner").await;
    let booking = lives(&server, &owner).await;
    let tenant: Uuid = owner.tenant_id.parse().unwrap();
    let rows = Rows::of(dir.path(), tenant).await;
    assert!(rows.kept().iter().filter(|row| row.starts_with("appointment")).count() == 8, "{rows:?}");
    let shown = shown(&server, &owner).await;
    server.stop();

    rolled_back(dir.path()).await;
    let server = Mode::Scale.start(dir.path());
    server.ready().await;
    assert_eq!(Rows::of(dir.path(), tenant).await.kept(), rows.kept());
    assert_eq!(self::shown(&server, &owner).await, shown);
    let psql = superuser(dir.path()).await;
    let told = "select (select count(*) from audit_log where entity ~ '^(appointments|loyalty)')
        + (select count(*) from outbox_events where aggregate ~ '^(appointments|loyalty)')";
    assert_eq!(psql.query_one(told, &[]).await.unwrap().get::<_, i64>(0), 0, "nothing is told again");

    // And it goes on from there.
    let to = owner.booking(0, 4, 5);
    let to = json!({ "bookingId": booking, "slotStart": to["slotStart"], "slotEnd": to["slotEnd"] });
    let moved = server.post(&owner, &format!("/v1/bookings/{booking}/reschedule"), &key(), &to).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    let slot =
        "select count(*) from appointments where id = $1 and slot_start = ($2::text)::timestamptz and version = 3";
    let id: Uuid = booking.parse().unwrap();
    let row = psql.query_one(slot, &[&id, &to["slotStart"].as_str().unwrap()]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
}

/// Each end that a booking has, moves into another month and back, and points. Returns a booking that still stands, moved
/// once.
async fn lives(server: &Server, owner: &Salon) -> String {
    let ask = async |path: String, body: Value| -> Value {
        let answer = server.post(owner, &path, &key(), &body).await;
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text);
        answer.json()
    };
    let mut bookings = Vec::new();
    for number in 0..8 {
        let person = usize::try_from(number % 3).unwrap();
        let booked = ask("/v1/bookings".to_owned(), owner.booking(person, number % 4, number)).await;
        bookings.push(booked["booking"]["id"].as_str().unwrap().to_owned());
    }
    let moved = async |nth: usize, day: i64| {
        let to = owner.booking(0, day, i64::try_from(nth).unwrap());
        let body = json!({ "bookingId": bookings[nth], "slotStart": to["slotStart"], "slotEnd": to["slotEnd"] });
        ask(format!("/v1/bookings/{}/reschedule", bookings[nth]), body).await;
    };
    for (nth, days) in [(0, &[6][..]), (1, &[25, 7]), (2, &[26])] {
        for day in days {
            moved(nth, *day).await;
        }
    }
    let ends: [(usize, &[&str]); 5] = [
        (2, &["confirm"]),
        (3, &["confirm", "check-in", "complete"]),
        (4, &["check-in", "no-show"]),
        (5, &["cancel"]),
        (6, &["check-in", "complete"]),
    ];
    for (nth, steps) in ends {
        for step in steps {
            ask(format!("/v1/bookings/{}/{step}", bookings[nth]), json!({ "bookingId": bookings[nth] })).await;
        }
    }
    let customer = owner.booking(0, 0, 3)["customer"]["id"].as_str().unwrap().to_owned();
    ask(format!("/v1/loyalty/{customer}/adjust"), json!({ "points": 50 })).await;
    ask(format!("/v1/loyalty/{customer}/redeem"), json!({ "points": 20 })).await;
    bookings.swap_remove(0)
}

/// What a front-end sees, but for the time at which it looks.
async fn shown(server: &Server, owner: &Salon) -> Vec<Value> {
    let customer = owner.booking(0, 0, 3)["customer"]["id"].as_str().unwrap().to_owned();
    let mut paths = vec![
        "/v1/bookings?from=2031-06-01T00:00:00Z&to=2031-08-01T00:00:00Z".to_owned(),
        format!("/v1/loyalty/{customer}"),
        format!("/v1/loyalty/{customer}/history"),
        "/v1/admin/revenue?from=2031-06-01&to=2031-07-31&by=month".to_owned(),
        "/v1/admin/dashboard?from=2031-06-01&to=2031-07-31".to_owned(),
    ];
    let days = "from=2031-06-01&to=2031-07-31";
    paths.extend(owner.staff_ids.iter().map(|staff| format!("/v1/staff/{staff}/utilisation?{days}")));
    let mut all = figures(server, owner).await;
    for path in paths {
        let reply = server.get(owner, &path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        all.push(reply.json());
    }
    all
}

async fn rolled_back(data_dir: &Path) {
    let postgres = EmbeddedPostgres::start(data_dir).await.unwrap();
    let psql = connect(&postgres.url().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    psql.batch_execute(FORGET).await.unwrap();
    psql.batch_execute(FIRST_FORM).await.unwrap();
    schema::rollback(&mut connect(&postgres.url()).await, SCHEMA).await.unwrap();
    let left = "select (select count(*) from appointments), (select count(*) from event_store)";
    let left = psql.query_one(left, &[]).await.unwrap();
    assert!(left.get::<_, i64>(0) == 0 && left.get::<_, i64>(1) > 20, "events alone");
    std::fs::remove_file(data_dir.join("audit-seal.json")).or_else(absent).unwrap();
    postgres.stop().await;
}

/// No seal was made in the seconds that the server ran.
fn absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
