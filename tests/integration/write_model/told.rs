//! What each command leaves for those who watch: a data version that has moved, and an entry of the outbox under the
//! event that the answer names.

use uuid::Uuid;

use super::House;
use crate::support::commands::of_each_command;
use crate::support::{Mode, in_both_modes};

in_both_modes!(the_outbox_names_the_event_of_every_answer, the_data_version_moves_with_every_command);

async fn the_outbox_names_the_event_of_every_answer(mode: Mode) {
    let house = House::open(mode).await;
    of_each_command(&house.server, &house.owner().await, async |path, answer| {
        let event: Uuid = answer["outboxEventId"].as_str().unwrap().parse().unwrap();
        let entries = house.number(&format!("SELECT count(*) FROM outbox_events WHERE event_id = '{event}'")).await;
        assert!(entries > 0, "{path}: no entry is of {event}");
    })
    .await;
    let unnamed =
        "SELECT count(*) FROM outbox_events WHERE event_id IS NULL AND aggregate ~ '^(appoint|loyalty|product_st)'";
    assert_eq!(house.number(unnamed).await, 0, "entries of no event");
    let shared = "SELECT count(*) FROM (SELECT event_id FROM outbox_events WHERE aggregate !~ '^appoint' \
                  AND event_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1) e";
    assert_eq!(house.number(shared).await, 0, "one event for several entries that are no appointment's");
}

async fn the_data_version_moves_with_every_command(mode: Mode) {
    let house = House::open(mode).await;
    let sql = format!("SELECT data_version FROM tenants WHERE id = '{}'", house.salon.tenant_id);
    let mut before = 0;
    of_each_command(&house.server, &house.owner().await, async |path, _| {
        let after = house.number(&sql).await;
        assert!(after > before, "{path}: {before}, then {after}");
        before = after;
    })
    .await;
}
