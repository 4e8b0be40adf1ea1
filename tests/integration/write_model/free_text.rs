//! What is said about a booking of whose customer the vault knows nothing: other software has made it, or the customer was
//! erased since.

use serde_json::{Value, json};
use uuid::Uuid;

use super::House;
use crate::support::{Mode, in_both_modes};

const REASON: &str = "zyxreason of her own";

in_both_modes!(of_an_erased_customer_it_is_kept_under_a_new_key);

async fn of_an_erased_customer_it_is_kept_under_a_new_key(mode: Mode) {
    let house = House::open(mode).await;
    let id = house.booked(&house.salon.booking(0, 0, 0)).await;
    // What the server holds in memory is no longer true.
    house.psql.batch_execute("DELETE FROM vault_customers").await.unwrap();
    let cancelled = house.step(&id, "cancel", json!({ "reason": REASON })).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    is_shown(&house, &id, &cancelled.json()["booking"], &json!(REASON)).await;
    assert_eq!(house.number("SELECT count(*) FROM vault_notes").await, 1);
    is_nowhere_in_plain_text(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_customer_of_other_software_it_is_kept_under_a_key_of_its_own() {
    let house = House::open(Mode::Mvp).await;
    let customer = Uuid::from_u128(0x7000_8000_0000_0000_0001);
    let id = house.booked_elsewhere(0, "07:00:00", "07:30:00", Some(customer)).await.to_string();
    let later = house.salon.booking(0, 1, 4);
    let to = json!({ "slotStart": later["slotStart"], "slotEnd": later["slotEnd"], "reason": "zyx moved" });
    assert_eq!(house.step(&id, "reschedule", to).await.status, 200);
    let cancelled = house.step(&id, "cancel", json!({ "reason": REASON })).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    is_shown(&house, &id, &cancelled.json()["booking"], &json!(REASON)).await;
    assert_eq!(cancelled.json()["booking"]["customer"]["firstName"], Value::Null, "of whom no more is known");
    is_nowhere_in_plain_text(&house).await;

    // Who then books is known from then on, and what was said before stays readable.
    let mut body = house.salon.booking(1, 2, 4);
    body["customer"]["id"] = json!(customer);
    house.booked(&body).await;
    let read = house.server.get(&house.salon, &format!("/v1/bookings/{id}")).await.json();
    assert_eq!((&read["customer"]["firstName"], &read["cancellationReason"]), (&json!("Anna"), &json!(REASON)));
}

/// There is nobody under whose key it could be kept, so it is not, and nothing says so.
#[tokio::test(flavor = "multi_thread")]
async fn of_nobody_it_is_not_kept_and_not_repeated() {
    let house = House::open(Mode::Mvp).await;
    let id = house.booked_elsewhere(0, "07:00:00", "07:30:00", None).await.to_string();
    let cancelled = house.step(&id, "cancel", json!({ "reason": REASON })).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    is_shown(&house, &id, &cancelled.json()["booking"], &Value::Null).await;
    assert_eq!(house.number("SELECT count(*) FROM appointments WHERE reason_recorded").await, 0);
    is_nowhere_in_plain_text(&house).await;
}

/// In the answer, and when it is read again.
async fn is_shown(house: &House, id: &str, answered: &Value, reason: &Value) {
    assert_eq!(&answered["cancellationReason"], reason);
    let read = house.server.get(&house.salon, &format!("/v1/bookings/{id}")).await;
    assert_eq!(&read.json()["cancellationReason"], reason, "{}", read.text);
}

/// Columns of bytes are shown as hexadecimal digits.
async fn is_nowhere_in_plain_text(house: &House) {
    let tables = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition \
                  AND relnamespace IN ('public'::regnamespace, 'app_private'::regnamespace)";
    let tables: Vec<String> = house.psql.query(tables, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(tables.iter().any(|table| table == "idempotency_keys"), "{tables:?}");
    for table in tables {
        let sql = format!("SELECT count(*) FROM {table} t WHERE t::text ~ 'zyx|7a7978'");
        assert_eq!(house.number(&sql).await, 0, "{table}");
    }
}
