use std::borrow::Cow;

use uuid::Uuid;

use crate::aggregate::Decision;
use crate::command::Command;
use crate::ids::ProductId;
use crate::reference::{Product, TenantReference};
use crate::refusal::Refusal;
use crate::time::{DAY_MS, Timestamp};

use super::commands::{StockCommand, StockRefusal};
use super::events::{
    ReservationExpired, StockAdjusted, StockConsumed, StockItemEvent, StockReceived, StockReleased, StockReserved,
};
use super::evolve::evolve;
use super::state::{Once, StockItem};

/// What the columns of stock hold.
const ON_HAND_MAX: i64 = i32::MAX as i64;
/// Many more than any shop's open orders of one product; it bounds what a faulty client could pile up.
pub(super) const RESERVATIONS_MAX: usize = 1_000;
const RESERVED_DAYS_MAX: i64 = 90;

type Decided = Result<Option<StockItemEvent>, Refusal>;

/// At most one event per command, with the expiries that are due in front of it: so that the sum of the events is the
/// stock at every command. A repeated command adds nothing of its own.
pub(super) fn decide(
    item: &StockItem,
    command: &StockCommand,
    reference: &TenantReference,
    now: Timestamp,
) -> Result<Decision<StockItemEvent>, Refusal> {
    let product = reference.products.get(&command.product_id()).ok_or(Refusal::NotFound("product"))?;
    let mut item = Cow::Borrowed(item);
    let mut decision = Decision::nothing();
    for expired in expiries_due(&item, now) {
        evolve(item.to_mut(), &expired, now);
        decision.events.push(expired);
    }
    decision.events.extend(match *command {
        StockCommand::Receive { movement_id, quantity, .. } => receive(&item, movement_id, quantity)?,
        StockCommand::Adjust { movement_id, quantity, reason, product_id } => {
            let adjusted = StockAdjusted { movement_id, quantity, reason };
            adjust(&item, product_id, adjusted)?
        }
        StockCommand::Reserve { reservation_id, ref lines, expires_at } => {
            let reserved = StockReserved { reservation_id, quantity: lines.first().1, expires_at };
            reserve(&item, product, reserved, now)?
        }
        StockCommand::Release { reservation_id, .. } => release(&item, reservation_id)?,
        StockCommand::Consume { movement_id, reservation_id, ref lines } => {
            let (product_id, quantity) = lines.first();
            consume(&item, product_id, StockConsumed { movement_id, reservation_id, quantity })?
        }
    });
    decision.requests.extend(command.of_others().into_iter().map(Command::StockItem));
    Ok(decision)
}

fn expiries_due(item: &StockItem, now: Timestamp) -> Vec<StockItemEvent> {
    let due = item.reservations.iter().filter(|reservation| reservation.is_due(now));
    let expired = |held: &super::Reservation| ReservationExpired { reservation_id: held.id, quantity: held.quantity };
    due.map(|held| StockItemEvent::Expired(expired(held))).collect()
}

fn receive(item: &StockItem, movement_id: Uuid, quantity: u32) -> Decided {
    check_quantity(quantity)?;
    if item.has_done(Once::Movement(movement_id)) {
        return Ok(None);
    }
    check_room(item, i64::from(quantity))?;
    Ok(Some(StockItemEvent::Received(StockReceived { movement_id, quantity })))
}

fn adjust(item: &StockItem, product_id: ProductId, adjusted: StockAdjusted) -> Decided {
    if adjusted.quantity == 0 {
        return Err(invalid("quantity", "must not be 0"));
    }
    if item.has_done(Once::Movement(adjusted.movement_id)) {
        return Ok(None);
    }
    if adjusted.quantity < 0 {
        // What is reserved was promised: it has to be released before it can be written off.
        check_available(item, product_id, adjusted.quantity.unsigned_abs())?;
    } else {
        check_room(item, i64::from(adjusted.quantity))?;
    }
    Ok(Some(StockItemEvent::Adjusted(adjusted)))
}

/// Whether it happened before comes first: a retry is not refused by what has changed since.
fn reserve(item: &StockItem, product: &Product, reserved: StockReserved, now: Timestamp) -> Decided {
    check_quantity(reserved.quantity)?;
    if item.has_done(Once::Reservation(reserved.reservation_id)) {
        return Ok(None);
    }
    if reserved.expires_at <= now {
        return Err(invalid("expiresAt", "must lie ahead"));
    }
    if reserved.expires_at > now.plus_millis(RESERVED_DAYS_MAX * DAY_MS) {
        return Err(invalid("expiresAt", format!("must not lie more than {RESERVED_DAYS_MAX} days ahead")));
    }
    if !product.active {
        return Err(Refusal::NotFound("product"));
    }
    if item.reservations.len() >= RESERVATIONS_MAX {
        return Err(StockRefusal::TooManyReservations { product_id: product.id }.into());
    }
    check_available(item, product.id, reserved.quantity)?;
    Ok(Some(StockItemEvent::Reserved(reserved)))
}

/// One that has ended already, by whatever way, leaves nothing to be done.
fn release(item: &StockItem, reservation_id: Uuid) -> Decided {
    match item.held(reservation_id) {
        0 if item.has_done(Once::Reservation(reservation_id)) => Ok(None),
        0 => Err(Refusal::NotFound("reservation")),
        quantity => Ok(Some(StockItemEvent::Released(StockReleased { reservation_id, quantity }))),
    }
}

fn consume(item: &StockItem, product_id: ProductId, consumed: StockConsumed) -> Decided {
    let asked = consumed.quantity;
    check_quantity(asked)?;
    if item.has_done(Once::Movement(consumed.movement_id)) {
        return Ok(None);
    }
    match consumed.reservation_id.map(|reservation_id| item.held(reservation_id)) {
        Some(held) if held < asked => {
            return Err(StockRefusal::InsufficientReservation { product_id, held, asked }.into());
        }
        // Reserved is never more than on hand, unless history that was brought in says so.
        Some(_) if item.on_hand < i64::from(asked) => {
            return Err(StockRefusal::InsufficientStock { product_id, available: item.on_hand, asked }.into());
        }
        Some(_) => {}
        None => check_available(item, product_id, asked)?,
    }
    Ok(Some(StockItemEvent::Consumed(consumed)))
}

/// After the expiries that were due: what is still in the state counts.
fn check_available(item: &StockItem, product_id: ProductId, asked: u32) -> Result<(), Refusal> {
    let available = item.on_hand - item.reserved();
    if available < i64::from(asked) {
        return Err(StockRefusal::InsufficientStock { product_id, available, asked }.into());
    }
    Ok(())
}

fn check_quantity(quantity: u32) -> Result<(), Refusal> {
    if quantity == 0 { Err(invalid("quantity", "must be at least 1")) } else { Ok(()) }
}

fn check_room(item: &StockItem, more: i64) -> Result<(), Refusal> {
    if item.on_hand + more > ON_HAND_MAX { Err(invalid("quantity", "is more than a stock can hold")) } else { Ok(()) }
}

fn invalid(field: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::Invalid { field, message: message.into() }
}
