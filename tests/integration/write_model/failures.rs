//! What the database refuses, and what becomes of the command.

use std::time::Duration;

use codeccloud::postgres::embedded::url_of;
use serde_json::{Value, json};

use super::House;
use crate::support::cut::CutLine;
use crate::support::{Mode, Server, command_beside, in_both_modes, key};

in_both_modes!(
    a_row_that_nobody_saw_coming_is_a_conflict,
    a_deadlock_with_other_software_is_decided_again,
    what_fails_for_a_moment_is_tried_again_and_not_for_ever
);

/// So long that no command finds it when it looks at the person's time: only the constraint knows of it.
async fn a_row_that_nobody_saw_coming_is_a_conflict(mode: Mode) {
    let house = House::open(mode).await;
    let id = house.booked_elsewhere(0, "06:00:00", "06:30:00", None).await;
    let longer = format!("UPDATE appointments SET slot_end = '2031-06-09T10:00:00Z' WHERE id = '{id}'");
    house.psql.batch_execute(&longer).await.unwrap();
    let refused = house.post("/v1/bookings", &house.salon.booking(0, 4, 1)).await;
    assert_eq!((refused.status, &refused.json()["detail"]), (409, &json!("the slot is taken")), "{}", refused.text);
    assert_eq!(house.number("SELECT count(*) FROM appointments").await, 1);
    assert_eq!(house.post("/v1/bookings", &house.salon.booking(1, 4, 1)).await.status, 201, "somebody else is free");
}

async fn a_deadlock_with_other_software_is_decided_again(mode: Mode) {
    let house = House::open(mode).await;
    let id = house.booked(&house.salon.booking(0, 0, 0)).await;
    let tenant = format!("UPDATE tenants SET name = name WHERE id = '{}'", house.salon.tenant_id);
    let appointment = format!("SELECT FROM appointments WHERE id = '{id}' FOR UPDATE");
    // Each mode locks them in an order of its own; here they are taken the other way round.
    let [first, second] = match mode {
        Mode::Mvp => [tenant, appointment],
        Mode::Scale => [appointment, tenant],
    };
    // It is the server that notices, and has to give way.
    house.psql.batch_execute(&format!("SET deadlock_timeout = '30s'; BEGIN; {first}")).await.unwrap();
    let (cancelled, ()) = futures_util::join!(house.step(&id, "cancel", Value::Null), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.psql.batch_execute(&second).await.unwrap();
        house.psql.batch_execute("COMMIT").await.unwrap();
    });
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    let deadlocks = "SELECT sum(deadlocks)::bigint FROM pg_stat_database";
    let counted = async {
        while house.number(deadlocks).await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), counted).await.expect("there was a deadlock");
}

async fn what_fails_for_a_moment_is_tried_again_and_not_for_ever(mode: Mode) {
    let house = House::open(mode).await;
    let failing = |times: u32| {
        format!(
            "CREATE OR REPLACE FUNCTION fail_for_a_moment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
             IF nextval('public.tries') <= {times} THEN RAISE EXCEPTION 'try again' USING ERRCODE = '40001'; END IF; \
             RETURN new; END $$; ALTER SEQUENCE tries RESTART"
        )
    };
    house.psql.batch_execute(&format!("CREATE SEQUENCE tries; {}", failing(3))).await.unwrap();
    let trigger =
        "CREATE TRIGGER a_moment BEFORE INSERT ON appointments FOR EACH ROW EXECUTE FUNCTION fail_for_a_moment()";
    house.psql.batch_execute(trigger).await.unwrap();
    house.booked(&house.salon.booking(0, 0, 0)).await;
    assert_eq!(house.number("SELECT last_value FROM tries").await, 4);

    house.psql.batch_execute(&failing(1_000_000)).await.unwrap();
    let refused = house.post("/v1/bookings", &house.salon.booking(0, 0, 3)).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.retry_after.is_some());
    assert_eq!(house.number("SELECT last_value FROM tries").await, 6, "tried so often, and no more");
}

/// In scale mode the journal has a test of its own for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_looked_up() {
    let house = House::open(Mode::Mvp).await;
    let line = CutLine::to(&url_of(house.dir.path()).unwrap()).await;
    let server = Server::of(command_beside(&line.url, house.dir.path(), &[Mode::Mvp.feature()]));
    server.ready().await;
    line.arm();
    let booked = server.post(&house.salon, "/v1/bookings", &key(), &house.salon.booking(0, 0, 0)).await;
    assert!(!line.is_armed(), "the connection was cut");
    assert_eq!((booked.status, booked.replayed.as_deref()), (201, Some("false")), "{}", booked.text);
    assert_eq!(house.number("SELECT count(*) FROM appointments").await, 1);
}
