//! MVP mode on an adopted database: what the deployment has booked is there, and is worked on like anything else.

use codeccloud_actors::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{adopted, command_for, figures};
use crate::support::mvp::{MvpDatabase, OwnerRights};
use crate::support::{Mode, Server, key};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployments_own_bookings_are_served_moved_and_cancelled() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 2_400).await;
    adopted(&database);
    serves_its_own(&database, Mode::Mvp).await;
}

/// The next booking of a salon of the deployment's, and its figures.
pub async fn serves_its_own(database: &MvpDatabase, mode: Mode) {
    let command = || command_for(database, mode, &[]);
    let server = Server::of(command());
    server.ready().await;
    let salon = server.salon_by(command, "salon-1").await;
    let superuser = database.superuser().await;
    let owner = server.member_by(command, &salon, "owner").await;
    figures::agree(&superuser, &server, &owner).await;
    // One with a chair, if there still is one.
    let sql = "SELECT a.id, a.staff_id, a.service_id, (r.id IS NOT NULL)::int::int8 FROM appointments a \
               LEFT JOIN resource_allocations r ON r.appointment_id = a.id \
               WHERE a.tenant_id = $1 AND a.status = 'scheduled' AND a.slot_start > now() + interval '2 days' \
               AND a.slot_end = a.slot_start + interval '1 hour' AND a.slot_start < now() + interval '1 year' ORDER BY r.id IS NULL, a.slot_start LIMIT 1";
    let tenant: Uuid = salon.tenant_id.parse().unwrap();
    let row = superuser.query_one(sql, &[&tenant]).await.unwrap();
    let (id, staff_id, service_id): (Uuid, Uuid, Uuid) = (row.get(0), row.get(1), row.get(2));
    let chairs: i64 = row.get(3);

    let shown = server.get(&salon, &format!("/v1/bookings/{id}")).await;
    assert_eq!((shown.status, &shown.json()["status"]), (200, &json!("scheduled")), "{}", shown.text);
    let start: Timestamp = shown.json()["slotStart"].as_str().unwrap().parse().unwrap();
    let body = |start: Timestamp| {
        json!({
            "serviceId": service_id, "staffId": staff_id, "slotStart": start, "slotEnd": start.plus_minutes(60),
            "price": { "currency": "CHF", "amount": 5000 },
            "customer": { "id": Uuid::from_u128(7), "email": "eva@example.ch", "firstName": "Eva", "lastName": "Neu" }
        })
    };
    let taken = server.post(&salon, "/v1/bookings", &key(), &body(start.plus_minutes(30))).await;
    assert_eq!((taken.status, &taken.json()["detail"]), (409, &json!("the slot is taken")), "{}", taken.text);
    let (from, to) = (start.plus_minutes(-60), start.plus_minutes(120));
    let offered = format!("/v1/bookings/availability?serviceId={service_id}&staffId={staff_id}&from={from}&to={to}");
    let slots = server.get(&salon, &offered).await.json()["slots"].clone();
    let overlaps = |slot: &Value| {
        let begins: Timestamp = slot["slotStart"].as_str().unwrap().parse().unwrap();
        begins < start.plus_minutes(60) && begins.plus_minutes(60) > start
    };
    assert!(!slots.as_array().unwrap().is_empty() && !slots.as_array().unwrap().iter().any(overlaps), "{slots}");

    // Into a month that has no partition yet; the chair goes along.
    let later = start.plus_minutes(60 * 24 * 365 * 4);
    let moving = json!({ "bookingId": id, "slotStart": later, "slotEnd": later.plus_minutes(60) });
    let moved = server.post(&salon, &format!("/v1/bookings/{id}/reschedule"), &key(), &moving).await;
    assert_eq!((moved.status, &moved.json()["booking"]["status"]), (200, &json!("rescheduled")), "{}", moved.text);
    let chair = "SELECT count(*) FROM resource_allocations r JOIN appointments a \
                 ON (a.tenant_id, a.id, a.slot_start) = (r.tenant_id, r.appointment_id, r.appointment_slot_start) \
                 WHERE a.id = $1 AND r.usage_range = a.slot";
    assert_eq!(superuser.query_one(chair, &[&id]).await.unwrap().get::<_, i64>(0), chairs, "its chair is free now");
    assert_eq!(server.post(&salon, "/v1/bookings", &key(), &body(start)).await.status, 201, "the slot is free");

    let cancelling = json!({ "bookingId": id, "reason": "ill" });
    let cancelled = server.post(&salon, &format!("/v1/bookings/{id}/cancel"), &key(), &cancelling).await;
    assert_eq!((cancelled.status, &cancelled.json()["booking"]["status"]), (200, &json!("cancelled")));
    // The deployment's own triggers have recorded it, each change once.
    let told = "SELECT string_agg(event_type || ' ' || coalesce(after ->> 'status', '-'), ', ' ORDER BY id) FROM audit_log \
                WHERE entity_id = $1::uuid::text AND performed_at > now() - interval '1 hour' \
                AND context ->> 'source' = 'rest'";
    let told: String = superuser.query_one(told, &[&id]).await.unwrap().get(0);
    assert_eq!(told, "delete -, insert scheduled, update cancelled");
    figures::agree(&superuser, &server, &owner).await;
    server.stop();
}
