//! Times of other software, which may be finer than the milliseconds that the server knows.

use serde_json::{Value, json};

use super::House;
use crate::support::Mode;

#[tokio::test(flavor = "multi_thread")]
async fn an_appointment_with_microseconds_is_found_changed_and_moved() {
    let house = House::open(Mode::Mvp).await;
    let id = house.booked_elsewhere(0, "07:00:00.123456", "07:30:00.654321", None).await;
    // Right before it, to the microsecond.
    house.booked_elsewhere(0, "06:30:00", "07:00:00.123456", None).await;
    let allocation = "INSERT INTO resource_allocations (tenant_id, appointment_id, appointment_slot_start, resource_id, \
                      usage_range) SELECT tenant_id, id, slot_start, id, slot FROM appointments WHERE id = $1";
    house.psql.execute(allocation, &[&id]).await.unwrap();
    let id = id.to_string();
    let read = house.server.get(&house.salon, &format!("/v1/bookings/{id}")).await;
    assert_eq!((read.status, &read.json()["slotStart"]), (200, &json!("2031-06-03T07:00:00.123Z")), "{}", read.text);

    let confirmed = house.step(&id, "confirm", Value::Null).await;
    assert_eq!(
        (confirmed.status, &confirmed.json()["booking"]["status"]),
        (200, &json!("confirmed")),
        "{}",
        confirmed.text
    );
    let slot = format!("SELECT extract(microseconds FROM slot_start)::bigint FROM appointments WHERE id = '{id}'");
    assert_eq!(house.number(&slot).await, 123_456, "a change of status moves nothing");

    let other = house.booked_elsewhere(1, "08:00:00.000001", "08:30:00", None).await;
    house.psql.execute(allocation, &[&other]).await.unwrap();
    let later = house.salon.booking(1, 1, 8);
    let to = json!({ "slotStart": later["slotStart"], "slotEnd": later["slotEnd"] });
    let moved = house.step(&other.to_string(), "reschedule", to).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    let along = format!(
        "SELECT count(*) FROM resource_allocations r JOIN appointments a ON (a.tenant_id, a.id, a.slot_start) \
         = (r.tenant_id, r.appointment_id, r.appointment_slot_start) WHERE a.id = '{other}' \
         AND lower(r.usage_range) = a.slot_start AND a.slot_start = '{}'",
        later["slotStart"].as_str().unwrap()
    );
    assert_eq!(house.number(&along).await, 1, "its chair goes along");
}

/// Their order within a millisecond is not that of their ids.
#[tokio::test(flavor = "multi_thread")]
async fn pages_skip_and_repeat_no_appointment_of_the_same_millisecond() {
    let house = House::open(Mode::Mvp).await;
    for (person, micros) in [900, 100, 500].into_iter().enumerate() {
        let id = house.booked_elsewhere(person, &format!("07:00:00.123{micros}"), "07:30:00", None).await;
        // The later, the lower its id.
        let sql = format!(
            "SET session_replication_role = replica; UPDATE appointments SET id = lpad('{}', 32, '0')::uuid \
             WHERE id = '{id}'; SET session_replication_role = DEFAULT",
            1_000 - micros
        );
        house.psql.batch_execute(&sql).await.unwrap();
    }
    for (order, expected) in [("asc", [900, 500, 100]), ("desc", [100, 500, 900])] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        while seen.len() < 5 {
            let path = format!("/v1/bookings/search?limit=1&order={order}{cursor}");
            let page = house.server.get(&house.salon, &path).await.json();
            seen.extend(page["data"].as_array().unwrap().iter().map(|booking| number(&booking["id"])));
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, expected, "{order}");
    }
}

fn number(id: &Value) -> i64 {
    id.as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap()
}
