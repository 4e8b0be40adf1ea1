//! What is told, and to whom, by entries as the MVP's triggers write them.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::collections::HashMap;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::testing::{SeededIds, time};
use serde_json::{Value, json};
use uuid::Uuid;

use super::plan::{Endpoint, Plan, Planner, Unplanned};
use super::{Entry, Handler, Operation};

const BOOKING: &str = "00000000-0000-4000-8000-0000000000b0";
const CREATED: &str = "2031-05-01T08:00:00.123456+00:00";

fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(0xA))
}

fn row(status: &str, hour: u32, more: Value) -> Value {
    let mut row = json!({
        "id": BOOKING, "tenant_id": tenant(), "customer_id": Uuid::from_u128(0xC), "staff_id": Uuid::from_u128(0xD),
        "service_id": null, "status": status, "slot": "ignored", "price_cents": 5000,
        "slot_start": format!("2031-06-02T{hour:02}:00:00+00:00"), "slot_end": format!("2031-06-02T{hour:02}:30:00+00:00"),
    });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn entry(id: i64, operation: Operation, row: &Value, created_at: &str) -> Entry {
    Entry {
        id,
        tenant_id: Some(tenant()),
        aggregate: "appointments_203106".to_owned(),
        aggregate_id: row["id"].as_str().and_then(|id| id.parse().ok()),
        operation,
        payload: json!({ "table": "appointments_203106", "operation": "", "row": row }),
        created_at: created_at.parse().unwrap(),
    }
}

fn plan(entries: Vec<Entry>) -> Plan {
    plan_of(Unplanned { entries, ..Unplanned::default() })
}

fn plan_of(unplanned: Unplanned) -> Plan {
    let endpoint = Endpoint { id: Uuid::from_u128(0xE), event_types: Vec::new() };
    let unplanned = Unplanned { endpoints: HashMap::from([(tenant(), vec![endpoint])]), sends_mail: true, ..unplanned };
    Planner { ids: &SeededIds::new(1), now: time("2031-06-01T00:00:00Z") }.plan(&unplanned)
}

/// What the endpoint hears; a star marks what is mailed too.
fn told(plan: &Plan) -> Vec<String> {
    let by = |handler| plan.deliveries.iter().filter(move |delivery| delivery.handler == handler);
    let mailed: Vec<_> = by(Handler::Email).map(|delivery| (delivery.entry_id, delivery.message.change)).collect();
    by(Handler::Webhook)
        .map(|delivery| {
            let change = delivery.message.change;
            let star = if mailed.contains(&(delivery.entry_id, change)) { "*" } else { "" };
            format!("{} {}{star}", delivery.entry_id, change.as_str().trim_start_matches("booking."))
        })
        .collect()
}

fn finished(plan: &Plan) -> Vec<i64> {
    plan.finished.iter().map(|(_, entry_id)| *entry_id).collect()
}

fn at(minute: u32) -> String {
    format!("2031-05-01T08:{minute:02}:00+00:00")
}

#[test]
fn a_booking_is_told_from_its_making_to_its_end() {
    use Operation::{Insert, Update};
    let plan = plan(vec![
        entry(1, Insert, &row("draft", 9, json!({})), &at(1)),
        entry(2, Update, &row("scheduled", 9, json!({})), &at(2)),
        entry(3, Update, &row("scheduled", 9, json!({ "price_cents": 1 })), &at(3)),
        entry(4, Update, &row("scheduled", 11, json!({})), &at(4)),
        entry(5, Update, &row("confirmed", 11, json!({})), &at(5)),
        entry(6, Update, &row("checked_in", 11, json!({})), &at(6)),
        entry(7, Update, &row("completed", 11, json!({})), &at(7)),
        entry(8, Update, &row("completed", 11, json!({ "notes": "x" })), &at(8)),
    ]);
    assert_eq!(told(&plan), ["2 scheduled*", "4 rescheduled*", "5 confirmed", "6 checked_in", "7 completed"]);
    assert_eq!(finished(&plan), [1, 3, 8], "nothing is to be sent for them");
}

#[test]
fn the_calendar_entry_is_revised_by_moves_and_cancellation() {
    use Operation::{Insert, Update};
    let plan = plan(vec![
        entry(1, Insert, &row("scheduled", 9, json!({})), &at(1)),
        entry(2, Update, &row("scheduled", 10, json!({})), &at(2)),
        entry(3, Update, &row("confirmed", 10, json!({})), &at(3)),
        entry(4, Update, &row("cancelled", 10, json!({})), &at(4)),
        entry(5, Update, &row("cancelled", 10, json!({ "notes": "x" })), &at(5)),
    ]);
    let mails = plan.deliveries.iter().filter(|delivery| delivery.handler == Handler::Email);
    let sequences: Vec<_> = mails.map(|mail| (mail.entry_id, mail.message.sequence)).collect();
    assert_eq!(sequences, [(1, 0), (2, 1), (4, 2)]);
}

/// To row triggers, a move to another month is a deletion and an insertion.
#[test]
fn a_move_to_another_month_is_a_move_also_of_a_booking_never_seen_before() {
    use Operation::{Delete, Insert};
    let moved = json!({ "slot_start": "2031-07-02T09:00:00+00:00", "slot_end": "2031-07-02T09:30:00+00:00" });
    let halves = |moved| {
        vec![
            entry(2, Delete, &row("scheduled", 9, json!({})), CREATED),
            entry(3, Insert, &row("scheduled", 9, moved), CREATED),
        ]
    };
    assert_eq!(told(&plan(halves(moved.clone()))), ["3 rescheduled*"]);
    let mut all = vec![entry(1, Insert, &row("scheduled", 9, json!({})), &at(1))];
    all.extend(halves(moved));
    assert_eq!(told(&plan(all)), ["1 scheduled*", "3 rescheduled*"]);
}

#[test]
fn a_row_that_is_deleted_for_good_tells_nobody() {
    let plan = plan(vec![
        entry(1, Operation::Insert, &row("scheduled", 9, json!({})), &at(1)),
        entry(2, Operation::Delete, &row("scheduled", 9, json!({})), &at(2)),
    ]);
    assert_eq!(told(&plan), ["1 scheduled*"]);
}

/// Of bookings that are older than the outbox, an update tells what the row itself bears out, and nothing on suspicion.
#[test]
fn an_update_of_a_booking_never_seen_is_believed_only_if_the_row_bears_it_out() {
    let first = |status: &str, more| told(&plan(vec![entry(1, Operation::Update, &row(status, 9, more), CREATED)]));
    let long_ago = "2031-03-01T08:00:00+00:00";
    assert_eq!(first("scheduled", json!({})), [""; 0]);
    assert_eq!(first("confirmed", json!({})), [""; 0]);
    assert_eq!(first("scheduled", json!({ "moved_at": long_ago })), [""; 0]);
    assert_eq!(first("scheduled", json!({ "moved_at": CREATED })), ["1 rescheduled*"]);
    assert_eq!(first("cancelled", json!({ "cancelled_at": long_ago })), [""; 0]);
    assert_eq!(first("cancelled", json!({ "cancelled_at": CREATED })), ["1 cancelled*"]);
}

/// No-show straight from scheduled: the row's own trigger knows only a longer way.
#[test]
fn states_that_a_transaction_passes_through_are_not_told() {
    use Operation::{Insert, Update};
    for version in [json!({}), json!({ "version": 1 })] {
        let plan = plan(vec![
            entry(1, Insert, &row("scheduled", 9, version.clone()), &at(1)),
            entry(2, Update, &row("confirmed", 9, version.clone()), &at(2)),
            entry(3, Update, &row("checked_in", 9, version.clone()), &at(2)),
            entry(4, Update, &row("no_show", 9, version), &at(2)),
        ]);
        assert_eq!(told(&plan), ["1 scheduled*", "4 no_show"]);
    }
    let made = plan(vec![
        entry(1, Insert, &row("draft", 9, json!({})), CREATED),
        entry(2, Update, &row("scheduled", 9, json!({})), CREATED),
    ]);
    assert_eq!(told(&made), ["2 scheduled*"]);
}

/// A transaction of the journal holds many commands; each raises the version.
#[test]
fn commands_that_share_a_transaction_are_told_each() {
    use Operation::{Insert, Update};
    let plan = plan(vec![
        entry(1, Insert, &row("scheduled", 9, json!({ "version": 1 })), CREATED),
        entry(2, Update, &row("scheduled", 10, json!({ "version": 2 })), CREATED),
        entry(3, Update, &row("cancelled", 10, json!({ "version": 3 })), CREATED),
    ]);
    assert_eq!(told(&plan), ["1 scheduled*", "2 rescheduled*", "3 cancelled*"]);
}

#[test]
fn bookings_in_the_past_are_not_mailed() {
    let past = json!({ "slot_start": "2031-05-30T09:00:00Z", "slot_end": "2031-05-30T09:30:00Z" });
    let plan = plan(vec![entry(1, Operation::Insert, &row("scheduled", 9, past), CREATED)]);
    assert_eq!(told(&plan), ["1 scheduled"]);
}

#[test]
fn endpoints_hear_what_they_asked_for() {
    let quiet = Endpoint { id: Uuid::from_u128(1), event_types: vec!["booking.cancelled".to_owned()] };
    let entries = vec![entry(1, Operation::Insert, &row("scheduled", 9, json!({})), CREATED)];
    let unplanned = Unplanned { entries, endpoints: HashMap::from([(tenant(), vec![quiet])]), ..Unplanned::default() };
    let planner = Planner { ids: &SeededIds::new(1), now: time("2031-06-01T00:00:00Z") };
    let plan = planner.plan(&unplanned);
    assert_eq!((plan.deliveries.len(), finished(&plan)), (0, vec![1]));
}

#[test]
fn what_is_no_booking_or_unreadable_is_finished() {
    let mut product = entry(1, Operation::Insert, &json!({}), CREATED);
    product.aggregate = "products".to_owned();
    let broken = entry(2, Operation::Insert, &json!({ "id": 7 }), CREATED);
    let mut nobodys = entry(3, Operation::Insert, &row("scheduled", 9, json!({})), CREATED);
    nobodys.tenant_id = None;
    let plan = plan(vec![product, broken, nobodys]);
    assert_eq!((plan.deliveries.len(), finished(&plan)), (0, vec![1, 2, 3]));
}

/// Transactions number their entries side by side. One that the batch's end cuts still tells where its booking ended up.
#[test]
fn a_batch_goes_on_with_the_rows_whose_transactions_it_has_begun() {
    use Operation::Update;
    let other = |id: u128| json!({ "id": Uuid::from_u128(id) });
    let entries = vec![
        entry(1, Update, &row("confirmed", 9, json!({ "version": 2 })), &at(1)),
        entry(2, Update, &row("scheduled", 9, other(7)), &at(2)),
        entry(3, Update, &row("checked_in", 9, json!({ "version": 2 })), &at(1)),
        entry(4, Update, &row("scheduled", 9, other(8)), &at(1)),
        entry(5, Update, &row("no_show", 9, json!({ "version": 2 })), &at(1)),
    ];
    let mut unplanned = Unplanned { entries, ..Unplanned::default() };
    unplanned.leave_out_beyond(2);
    assert_eq!(unplanned.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [1, 2, 3, 5]);
    let known = super::KnownBooking {
        status: codeccloud_actors::sagas::booking::BookingStatus::Scheduled,
        ..super::KnownBooking::draft(&unplanned.entries[0].booking().unwrap().unwrap())
    };
    unplanned.known = HashMap::from([((tenant(), BOOKING.parse().unwrap()), known)]);
    assert_eq!(told(&plan_of(unplanned)), ["5 no_show"], "what it only passed through is not told");
}
