//! Rules of a deployment's own, which no aggregate knows: a command that they refuse is a conflict, and no fault of the server.

use serde_json::json;

use super::House;
use crate::support::{Mode, in_both_modes, key};

in_both_modes!(
    what_a_trigger_refuses_is_a_conflict,
    what_is_refused_at_the_commit_is_a_conflict,
    a_slot_that_may_not_be_used_again_is_a_conflict,
    a_change_that_a_rule_refuses_is_a_conflict
);

/// Raises an error of a class that checks, references and triggers have.
async fn refuse(house: &House, code: &str) {
    let function = format!(
        "CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'closed on Sundays' USING ERRCODE = '{code}'; END $$"
    );
    house.psql.batch_execute(&function).await.unwrap();
}

async fn what_a_trigger_refuses_is_a_conflict(mode: Mode) {
    let house = House::open(mode).await;
    refuse(&house, "P0001").await;
    let trigger = "CREATE TRIGGER own_rule BEFORE INSERT ON appointments FOR EACH ROW EXECUTE FUNCTION refuse()";
    house.psql.batch_execute(trigger).await.unwrap();
    for code in ["P0001", "23514", "23503", "23505"] {
        refuse(&house, code).await;
        let refused = house.post("/v1/bookings", &house.salon.booking(0, 0, 0)).await;
        assert_eq!(refused.status, 409, "{code}: {}", refused.text);
    }
    house.psql.batch_execute("DROP FUNCTION refuse() CASCADE").await.unwrap();
    house.booked(&house.salon.booking(0, 0, 0)).await;
}

/// By constraints that look once all is written.
async fn what_is_refused_at_the_commit_is_a_conflict(mode: Mode) {
    let house = House::open(mode).await;
    house.booked(&house.salon.booking(0, 0, 0)).await;
    refuse(&house, "P0001").await;
    let trigger = "DO $$ BEGIN EXECUTE format('CREATE CONSTRAINT TRIGGER own_rule AFTER INSERT ON %s DEFERRABLE INITIALLY \
                   DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()', (SELECT tableoid::regclass FROM appointments)); END $$";
    house.psql.batch_execute(trigger).await.unwrap();
    for code in ["P0001", "23514", "23503", "23505"] {
        refuse(&house, code).await;
        let refused = house.post("/v1/bookings", &house.salon.booking(0, 0, 2)).await;
        assert_eq!(refused.status, 409, "{code}: {}", refused.text);
    }
    assert_eq!(house.number("SELECT count(*) FROM appointments").await, 1);
}

async fn a_slot_that_may_not_be_used_again_is_a_conflict(mode: Mode) {
    let house = House::open(mode).await;
    let index = "CREATE UNIQUE INDEX own_rule ON appointments (tenant_id, staff_id, slot_start)";
    house.psql.batch_execute(index).await.unwrap();
    let id = house.booked(&house.salon.booking(0, 0, 0)).await;
    let cancelled = house.step(&id, "cancel", json!({})).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    let refused = house.post("/v1/bookings", &house.salon.booking(0, 0, 0)).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    house.booked(&house.salon.booking(0, 0, 1)).await;
}

async fn a_change_that_a_rule_refuses_is_a_conflict(mode: Mode) {
    let mut house = House::open(mode).await;
    house.salon = house.server.member_of(&house.salon, house.dir.path(), "owner").await;
    let rules = "ALTER TABLE products ADD CONSTRAINT own_rule CHECK (name <> 'Nothing'); \
                 CREATE TRIGGER own_rule BEFORE INSERT ON appointment_services FOR EACH ROW EXECUTE FUNCTION refuse()";
    refuse(&house, "P0001").await;
    house.psql.batch_execute(rules).await.unwrap();
    let product = json!({ "sku": "N-1", "name": "Nothing", "price": { "amount": 100, "currency": "CHF" } });
    let service = json!({ "name": "Cut", "durationMinutes": 30, "price": { "amount": 100, "currency": "CHF" } });
    for (path, body) in [("/v1/products", product), ("/v1/services", service)] {
        let refused = house.server.post(&house.salon, path, &key(), &body).await;
        assert_eq!(refused.status, 409, "{path}: {}", refused.text);
    }
}
