//! What aggregates and projections have to agree on: each is folded here from its stream, one by one.

use std::collections::{BTreeMap, HashMap, HashSet};

use codeccloud_actors::aggregate::Aggregate;
use codeccloud_actors::aggregates::loyalty_balance::LoyaltyBalance;
use codeccloud_actors::aggregates::staff_utilisation::StaffUtilisation;
use codeccloud_actors::aggregates::stock_item::StockItem;
use codeccloud_actors::event::{Event, EventBody};
use codeccloud_actors::ids::{AggregateType, BookingId, CustomerId, ProductId, StaffId, StreamId, TenantId, Version};
use codeccloud_actors::projections::appointment_summaries::{AppointmentSummaries, KEPT_DAYS, Of, Summary};
use codeccloud_actors::projections::availability::Availability;
use codeccloud_actors::projections::inventory::Inventory;
use codeccloud_actors::projections::loyalty_balances::LoyaltyBalances;
use codeccloud_actors::projections::staff_utilisation::StaffUtilisationDays;
use codeccloud_actors::sagas::booking::{BookingEvent, BookingSaga, BookingStatus};
use codeccloud_actors::time::{DAY_MS, Timestamp};

use crate::house::House;
use crate::snapshots::{assert_snapshot, folded};

/// What the actors had in memory when they were let go.
pub fn of_actors(house: &House) {
    for (stream, head) in streams(house) {
        if house.store.snapshot(stream).is_none() {
            assert!(
                stream.aggregate_type == AggregateType::Booking && head == Version(1),
                "only a new one has no actor"
            );
            continue;
        }
        match stream.aggregate_type {
            AggregateType::StaffUtilisation => assert_snapshot::<StaffUtilisation>(house, stream, head.0),
            AggregateType::LoyaltyBalance => assert_snapshot::<LoyaltyBalance>(house, stream, head.0),
            AggregateType::StockItem => assert_snapshot::<StockItem>(house, stream, head.0),
            AggregateType::Booking => assert_snapshot::<BookingSaga>(house, stream, head.0),
        }
    }
}

pub fn of_availability(house: &House, model: &Availability) {
    let people = states::<StaffUtilisation>(house);
    for (stream, (state, _)) in &people {
        assert_eq!(model.calendar(stream.tenant_id, StaffId(stream.aggregate_id)), Some(&state.calendar));
    }
    assert_eq!(model.calendars().count(), people.len());
}

pub fn of_staff_utilisation(house: &House, model: &StaffUtilisationDays) {
    let people = states::<StaffUtilisation>(house);
    let totals: HashMap<_, _> = model.totals().map(|(tenant, staff, totals)| ((tenant, staff.0), totals)).collect();
    assert_eq!(totals.len(), people.len());
    for (stream, (state, _)) in &people {
        assert_eq!(totals[&(stream.tenant_id, stream.aggregate_id)], &state.days);
    }
}

pub fn of_loyalty_balances(house: &House, model: &LoyaltyBalances) {
    let customers = states::<LoyaltyBalance>(house);
    for (stream, (state, head)) in &customers {
        assert_eq!(model.balance(stream.tenant_id, CustomerId(stream.aggregate_id)), Some((state, *head)));
    }
    assert_eq!(model.balances().count(), customers.len());
}

pub fn of_inventory(house: &House, model: &Inventory) {
    let items = states::<StockItem>(house);
    for (stream, (state, head)) in &items {
        assert_eq!(model.item(stream.tenant_id, ProductId(stream.aggregate_id)), Some((state, *head)));
    }
    assert_eq!(model.items().count(), items.len());
}

/// Each booking that begins at a time that is kept is in the list, or said to be in the store only.
pub fn of_appointment_summaries(house: &House, model: &AppointmentSummaries) {
    let sagas = states::<BookingSaga>(house);
    let kept = kept_bookings(house);
    let mut listed = 0;
    for (&tenant_id, kept) in &kept {
        assert_eq!(model.totals(tenant_id).past.into_iter().collect::<BTreeMap<_, _>>(), kept.past);
        let mut recent: Vec<(BookingId, Summary)> = sagas
            .iter()
            .filter(|(stream, _)| stream.tenant_id == tenant_id)
            .map(|(stream, (saga, head))| {
                let details = saga.details.clone().expect("its first event schedules it");
                (BookingId(stream.aggregate_id), Summary { version: *head, details })
            })
            .filter(|(_, summary)| summary.details.slot.start >= kept.since)
            .collect();
        recent.sort_by_key(|(id, summary)| (summary.details.slot.start, *id));
        let (in_store, in_memory): (Vec<_>, Vec<_>) = recent.into_iter().partition(|(id, _)| kept.gone.contains(id));
        assert_lists(model, tenant_id, &in_memory);
        let in_store: Vec<BookingId> = in_store.into_iter().map(|(id, _)| id).collect();
        assert_eq!(model.brought_back(tenant_id, Timestamp::MIN, Timestamp::MAX).collect::<Vec<_>>(), in_store);
        listed += in_memory.len();
    }
    assert_eq!(model.bookings().count(), listed, "and nothing of any other tenant");
}

/// The whole list, and that of each person and customer.
fn assert_lists(model: &AppointmentSummaries, tenant_id: TenantId, expected: &[(BookingId, Summary)]) {
    let listed = |of| -> Vec<(BookingId, Summary)> {
        let list = model.list(tenant_id, of, Timestamp::MIN, Timestamp::MAX);
        list.map(|(id, summary)| (id, summary.clone())).collect()
    };
    assert_eq!(listed(Of::Tenant), expected);
    let only = |wanted: &dyn Fn(&Summary) -> bool| -> Vec<(BookingId, Summary)> {
        expected.iter().filter(|(_, summary)| wanted(summary)).cloned().collect()
    };
    for (_, summary) in expected {
        let (staff_id, customer_id) = (summary.details.staff_id, summary.details.customer_id);
        assert_eq!(listed(Of::Staff(staff_id)), only(&|other| other.details.staff_id == staff_id));
        let of_customer = Of::Customer(customer_id.expect("a booking by command has a customer"));
        assert_eq!(listed(of_customer), only(&|other| other.details.customer_id == customer_id));
    }
}

#[derive(Default)]
struct Kept {
    since: Timestamp,
    sagas: HashMap<BookingId, BookingSaga>,
    gone: HashSet<BookingId>,
    /// By the status that they had when they were let go.
    past: BTreeMap<BookingStatus, u64>,
}

/// Which bookings a tenant's read model has let go of: with each new booking, those that began long before it was made.
fn kept_bookings(house: &House) -> HashMap<TenantId, Kept> {
    let mut tenants: HashMap<TenantId, Kept> = HashMap::new();
    for recorded in house.store.history() {
        let Ok(Event::Booking(event)) = &recorded.event else { continue };
        let kept = tenants.entry(recorded.stream.tenant_id).or_default();
        if matches!(event, BookingEvent::Scheduled(_)) {
            kept.forget_before(recorded.occurred_at.plus_millis(-KEPT_DAYS * DAY_MS));
        }
        let saga = kept.sagas.entry(BookingId(recorded.stream.aggregate_id)).or_default();
        saga.evolve(event, recorded.occurred_at);
    }
    tenants
}

impl Kept {
    fn forget_before(&mut self, horizon: Timestamp) {
        self.since = self.since.max(horizon);
        for (id, saga) in &self.sagas {
            let booking = saga.details.as_ref().expect("its first event schedules it");
            if booking.slot.start < horizon && self.gone.insert(*id) {
                *self.past.entry(booking.status).or_default() += 1;
            }
        }
    }
}

fn states<A: Aggregate>(house: &House) -> BTreeMap<StreamId, (A, Version)> {
    let of_type = streams(house).into_iter().filter(|(stream, _)| stream.aggregate_type == A::Event::AGGREGATE_TYPE);
    of_type.map(|(stream, head)| (stream, (folded::<A>(house, stream, head), head))).collect()
}

/// Each with its head.
fn streams(house: &House) -> BTreeMap<StreamId, Version> {
    house.store.history().iter().map(|event| (event.stream, event.version)).collect()
}
