//! Histories as commands make them: whatever is asked in whatever order, over months, in two salons.

use std::time::Duration;

use codeccloud_actors::aggregates::loyalty_balance::LoyaltyCommand;
use codeccloud_actors::aggregates::stock_item::{AdjustmentReason, Lines, StockCommand};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{BookingId, ProductId, ServiceId, StaffId, TenantId};
use codeccloud_actors::ports::{Clock, Ids};
use codeccloud_actors::reference::TenantReference;
use codeccloud_actors::runtime::{ExecutionError, RuntimeSettings};
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::{ANNA, BALM, BEA, COLOUR, HAIRCUT, MASSAGE, SHAMPOO, salon};
use codeccloud_actors::time::Slot;
use proptest::prelude::*;
use uuid::Uuid;

use crate::house::{House, creation, customer, settings};

#[derive(Debug, Clone)]
pub enum Step {
    Book {
        at_home: bool,
        staff_id: StaffId,
        service_id: ServiceId,
        customer: u128,
        hours_ahead: i64,
    },
    Change {
        booking: usize,
        change: Change,
    },
    Points {
        at_home: bool,
        customer: u128,
        points: i32,
    },
    /// Takes back what a booking earned.
    Reverse {
        booking: usize,
    },
    Stock {
        at_home: bool,
        change: StockChange,
    },
    Wait {
        hours: i64,
    },
}

#[derive(Debug, Clone, Copy)]
pub enum Change {
    Move { hours_ahead: i64 },
    Confirm,
    CheckIn,
    Complete,
    NoShow,
    Cancel,
}

#[derive(Debug, Clone)]
pub enum StockChange {
    Move { product_id: ProductId, quantity: i32 },
    Reserve { lines: Vec<(ProductId, u32)>, hours: i64 },
    Consume { reservation: Option<usize>, lines: Vec<(ProductId, u32)> },
    Release { reservation: usize },
}

fn any_stock_change() -> impl Strategy<Value = StockChange> {
    let product = || prop::sample::select(vec![SHAMPOO, BALM]);
    let lines = || prop::collection::vec((product(), 1..4_u32), 1..4);
    prop_oneof![
        4 => (product(), -3..9_i32).prop_map(|(product_id, quantity)| StockChange::Move { product_id, quantity }),
        3 => (lines(), 1..200_i64).prop_map(|(lines, hours)| StockChange::Reserve { lines, hours }),
        2 => (prop::option::of(any::<usize>()), lines())
            .prop_map(|(reservation, lines)| StockChange::Consume { reservation, lines }),
        1 => any::<usize>().prop_map(|reservation| StockChange::Release { reservation }),
    ]
}

pub fn any_step() -> impl Strategy<Value = Step> {
    let staff = prop::sample::select(vec![ANNA, BEA]);
    let service = prop::sample::select(vec![HAIRCUT, COLOUR, MASSAGE]);
    let change = prop_oneof![
        2 => (0..72_i64).prop_map(|hours_ahead| Change::Move { hours_ahead }),
        6 => prop::sample::select(vec![
            Change::Confirm, Change::CheckIn, Change::CheckIn, Change::Complete, Change::Complete, Change::NoShow,
            Change::Cancel,
        ]),
    ];
    let hours = prop_oneof![6 => 1..48_i64, 2 => 240..1_800_i64, 1 => 9_000..12_000_i64];
    prop_oneof![
        8 => (any::<bool>(), staff, service, 0..3_u128, 0..60_i64).prop_map(
            |(at_home, staff_id, service_id, customer, hours_ahead)| Step::Book {
                at_home, staff_id, service_id, customer, hours_ahead,
            }),
        10 => (any::<usize>(), change).prop_map(|(booking, change)| Step::Change { booking, change }),
        3 => (any::<bool>(), 0..3_u128, -60..60_i32)
            .prop_map(|(at_home, customer, points)| Step::Points { at_home, customer, points }),
        1 => any::<usize>().prop_map(|booking| Step::Reverse { booking }),
        6 => (any::<bool>(), any_stock_change()).prop_map(|(at_home, change)| Step::Stock { at_home, change }),
        2 => hours.prop_map(|hours| Step::Wait { hours }),
    ]
}

/// Runs the steps through a house with room for a few actors only, so that they come and go, and shows it at the end.
pub fn live_through(steps: Vec<Step>, inspect: impl FnOnce(&House)) {
    let system = actix::System::new();
    system.block_on(async {
        let house = House::new(RuntimeSettings { active_max: 6, snapshot_every: 7, ..settings() });
        let (mut bookings, mut reservations) = (Vec::new(), Vec::new());
        for step in steps {
            take(&house, &mut bookings, &mut reservations, step).await;
        }
        house.runtime.passivate_all();
        house.thinned_to(0).await;
        inspect(&house);
    });
    actix::System::current().stop();
    system.run().unwrap();
}

struct Booking {
    tenant_id: TenantId,
    id: BookingId,
    customer: u128,
}

async fn take(house: &House, bookings: &mut Vec<Booking>, reservations: &mut Vec<Uuid>, step: Step) {
    let slot_in = |hours: i64, minutes: u32| {
        let start = house.clock.now().plus_minutes(60 * hours);
        Slot::new(start, start.plus_minutes(minutes.into())).unwrap()
    };
    let chosen = |index: usize| bookings.get(index % bookings.len().max(1));
    let (tenant_id, command) = match step {
        Step::Wait { hours } => return house.clock.advance_minutes(60 * hours),
        Step::Book { at_home, staff_id, service_id, customer: number, hours_ahead } => {
            let booking = Booking { tenant_id: tenant(at_home), id: BookingId(house.ids.uuid()), customer: number };
            let slot = slot_in(hours_ahead, salon().services[&service_id].duration_minutes);
            let asked = (booking.tenant_id, creation(booking.id, staff_id, service_id, customer(number), slot));
            bookings.push(booking);
            asked
        }
        Step::Points { at_home, customer: number, points } => {
            let command = match points {
                0.. => LoyaltyCommand::Adjust { adjustment_id: house.ids.uuid(), points },
                ..0 => LoyaltyCommand::Redeem { redemption_id: house.ids.uuid(), points: points.unsigned_abs() },
            };
            (tenant(at_home), Command::LoyaltyBalance(customer(number), command))
        }
        Step::Stock { at_home, change } => {
            let Some(command) = stock_command(house, reservations, change) else { return };
            (tenant(at_home), Command::StockItem(command))
        }
        Step::Reverse { booking } => {
            let Some(booking) = chosen(booking) else { return };
            let reverse = LoyaltyCommand::Reverse { booking_id: booking.id };
            (booking.tenant_id, Command::LoyaltyBalance(customer(booking.customer), reverse))
        }
        Step::Change { booking, change } => {
            let Some(booking) = chosen(booking) else { return };
            let booking_id = booking.id;
            let command = match change {
                Change::Move { hours_ahead } => {
                    BookingCommand::Reschedule { booking_id, slot: slot_in(hours_ahead, 45) }
                }
                Change::Confirm => BookingCommand::Confirm,
                Change::CheckIn => BookingCommand::CheckIn,
                Change::Complete => BookingCommand::Complete { booking_id },
                Change::NoShow => BookingCommand::MarkNoShow { booking_id },
                Change::Cancel => BookingCommand::Cancel { booking_id, waive_fee: false, reason_recorded: true },
            };
            (booking.tenant_id, Command::Booking(booking_id, command))
        }
    };
    ask(house, tenant_id, command).await;
}

/// `None` when it is about a reservation and there was none yet.
fn stock_command(house: &House, reservations: &mut Vec<Uuid>, change: StockChange) -> Option<StockCommand> {
    let movement_id = house.ids.uuid();
    let chosen = |index: usize| reservations.get(index % reservations.len().max(1)).copied();
    Some(match change {
        StockChange::Move { product_id, quantity: quantity @ 0.. } => {
            StockCommand::Receive { movement_id, product_id, quantity: quantity.unsigned_abs() }
        }
        StockChange::Move { product_id, quantity } => {
            StockCommand::Adjust { movement_id, product_id, quantity, reason: AdjustmentReason::Loss }
        }
        StockChange::Reserve { lines, hours } => {
            reservations.push(movement_id);
            let expires_at = house.clock.now().plus_minutes(60 * hours);
            StockCommand::Reserve { reservation_id: movement_id, lines: Lines::summed(lines)?, expires_at }
        }
        StockChange::Consume { reservation, lines } => {
            let reservation_id = reservation.and_then(chosen);
            StockCommand::Consume { movement_id, reservation_id, lines: Lines::summed(lines)? }
        }
        StockChange::Release { reservation } => {
            StockCommand::Release { reservation_id: chosen(reservation)?, lines: Lines::of([SHAMPOO, BALM])? }
        }
    })
}

/// Until there is room for the actors that it takes. Whether it is accepted doesn't matter.
async fn ask(house: &House, tenant_id: TenantId, command: Command) {
    loop {
        let mut reference = TenantReference { tenant_id, ..salon() };
        reference.loyalty.expiry_months = Some(2);
        match house.runtime.execute(house.submission_in(reference, command.clone())).await {
            Ok(_) => return,
            Err(ExecutionError::Unavailable { .. }) => tokio::time::sleep(Duration::from_micros(200)).await,
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

fn tenant(at_home: bool) -> TenantId {
    if at_home { salon().tenant_id } else { TenantId(Uuid::from_u128(0x7F)) }
}
