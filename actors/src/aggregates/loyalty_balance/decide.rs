use std::borrow::Cow;

use jiff::{Span, ZonedDateTime};
use uuid::Uuid;

use crate::aggregate::{Context, Decision};
use crate::ids::BookingId;
use crate::money::Money;
use crate::reference::{LoyaltyRules, TenantReference};
use crate::refusal::Refusal;
use crate::time::Timestamp;

use super::commands::{LoyaltyCommand, LoyaltyRefusal};
use super::events::{
    LoyaltyBalanceEvent, PointsAccrued, PointsAdjusted, PointsExpired, PointsRedeemed, PointsReversed,
};
use super::evolve::evolve;
use super::state::{LoyaltyBalance, Once};

/// At most one event per command, with the expiry that is due in front of it: so that the sum of the events is the
/// balance at every command. A repeated command adds nothing of its own.
pub(super) fn decide(
    balance: &LoyaltyBalance,
    command: &LoyaltyCommand,
    context: &Context,
    now: Timestamp,
) -> Result<Decision<LoyaltyBalanceEvent>, Refusal> {
    let mut balance = Cow::Borrowed(balance);
    let mut decision = Decision::nothing();
    if let Some(expired) = expiry_due(&balance, now) {
        evolve(balance.to_mut(), &expired, now);
        decision.events.push(expired);
    }
    let event = match *command {
        LoyaltyCommand::Accrue { booking_id, paid } => accrue(&balance, booking_id, paid, &context.reference, now),
        LoyaltyCommand::Redeem { redemption_id, points } => redeem(&balance, redemption_id, points, now)?,
        LoyaltyCommand::Adjust { adjustment_id, points } => {
            adjust(&balance, adjustment_id, points, &context.reference, now)?
        }
        LoyaltyCommand::Reverse { booking_id } => Some(reverse(&balance, booking_id)?),
    };
    decision.events.extend(event);
    Ok(decision)
}

fn expiry_due(balance: &LoyaltyBalance, now: Timestamp) -> Option<LoyaltyBalanceEvent> {
    let points = balance.points_due(now);
    (points > 0).then_some(LoyaltyBalanceEvent::Expired(PointsExpired { points, expired_until: now }))
}

fn accrue(
    balance: &LoyaltyBalance,
    booking_id: BookingId,
    paid: Money,
    reference: &TenantReference,
    now: Timestamp,
) -> Option<LoyaltyBalanceEvent> {
    // A booking must complete, whatever it earns: points beyond what a balance can hold are not given.
    let points = points_for(paid, &reference.loyalty).min(u32::MAX - balance.balance_at(now));
    if points == 0 || balance.has_done(Once::Accrual(booking_id)) {
        return None;
    }
    let expires_at = expiry_of_points_earned(now, reference);
    Some(LoyaltyBalanceEvent::Accrued(PointsAccrued { booking_id, points, expires_at }))
}

fn redeem(
    balance: &LoyaltyBalance,
    redemption_id: Uuid,
    points: u32,
    now: Timestamp,
) -> Result<Option<LoyaltyBalanceEvent>, Refusal> {
    if points == 0 {
        return Err(invalid_points("must be at least 1"));
    }
    if balance.has_done(Once::Redemption(redemption_id)) {
        return Ok(None);
    }
    check_balance(balance, points, now)?;
    Ok(Some(LoyaltyBalanceEvent::Redeemed(PointsRedeemed { redemption_id, points })))
}

fn adjust(
    balance: &LoyaltyBalance,
    adjustment_id: Uuid,
    points: i32,
    reference: &TenantReference,
    now: Timestamp,
) -> Result<Option<LoyaltyBalanceEvent>, Refusal> {
    if points == 0 {
        return Err(invalid_points("must not be 0"));
    }
    if balance.has_done(Once::Adjustment(adjustment_id)) {
        return Ok(None);
    }
    let is_gain = points > 0;
    if !is_gain {
        check_balance(balance, points.unsigned_abs(), now)?;
    } else if balance.balance_at(now).checked_add_signed(points).is_none() {
        return Err(invalid_points("is more than a balance can hold"));
    }
    let expires_at = if is_gain { expiry_of_points_earned(now, reference) } else { None };
    Ok(Some(LoyaltyBalanceEvent::Adjusted(PointsAdjusted { adjustment_id, points, expires_at })))
}

fn reverse(balance: &LoyaltyBalance, booking_id: BookingId) -> Result<LoyaltyBalanceEvent, Refusal> {
    match balance.points_left_of(booking_id) {
        0 => Err(LoyaltyRefusal::NothingToReverse.into()),
        points => Ok(LoyaltyBalanceEvent::Reversed(PointsReversed { booking_id, points })),
    }
}

fn check_balance(balance: &LoyaltyBalance, asked: u32, now: Timestamp) -> Result<(), Refusal> {
    let balance = balance.balance_at(now);
    if balance < asked {
        return Err(LoyaltyRefusal::InsufficientPoints { balance, asked }.into());
    }
    Ok(())
}

/// Whole francs count, and a euro counts like a franc.
fn points_for(paid: Money, rules: &LoyaltyRules) -> u32 {
    let whole_units = u64::try_from(paid.amount / 100).unwrap_or(0);
    let points = whole_units.saturating_mul(u64::from(rules.points_per_franc));
    u32::try_from(points).unwrap_or(u32::MAX)
}

/// The same day of the month and time of day by the tenant's clock. A time that no event could name is never.
fn expiry_of_points_earned(now: Timestamp, reference: &TenantReference) -> Option<Timestamp> {
    let months = Span::new().try_months(reference.loyalty.expiry_months?).ok()?;
    let expiry = ZonedDateTime::new(now.to_jiff(), reference.zone.clone()).checked_add(months).ok()?;
    Some(Timestamp::from_jiff(expiry.timestamp())).filter(|at| *at <= Timestamp::MAX)
}

fn invalid_points(message: &str) -> Refusal {
    Refusal::Invalid { field: "points", message: message.to_owned() }
}
