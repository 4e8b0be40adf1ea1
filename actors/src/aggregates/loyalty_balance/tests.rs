use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use uuid::Uuid;

use super::evolve::{DONE_MAX, LOTS_MAX};
use super::*;
use crate::envelope::{Caller, Role};
use crate::ids::{BookingId, TenantId, UserId};
use crate::money::{Currency, Money};
use crate::reference::{LoyaltyRules, LoyaltyTier, TenantReference};
use crate::time::DAY_MS;

/// One customer's stream: commands go in, events are folded and kept.
struct Stream {
    balance: LoyaltyBalance,
    context: Context,
    now: Timestamp,
}

impl Stream {
    fn new(loyalty: LoyaltyRules) -> Stream {
        let reference = TenantReference {
            tenant_id: TenantId(Uuid::from_u128(1)),
            slug: "aare".to_owned(),
            name: "Salon Aare".to_owned(),
            zone: TimeZone::get("Europe/Zurich").expect("bundled"),
            stage: crate::stage::Stage::Scale,
            horizon_days: None,
            loyalty,
            services: HashMap::new(),
            staff: HashMap::new(),
            products: HashMap::new(),
            members: HashMap::new(),
            revocations: HashMap::new(),
        };
        let caller = Caller { user_id: UserId(Uuid::from_u128(2)), role: Role::Staff };
        let context = Context { reference: Arc::new(reference), caller };
        Stream { balance: LoyaltyBalance::default(), context, now: at("2030-01-15T10:00:00Z") }
    }

    fn send(&mut self, command: LoyaltyCommand) -> Result<Vec<LoyaltyBalanceEvent>, Refusal> {
        let decision = self.balance.decide(&command, &self.context, self.now)?;
        assert_eq!(decision.requests, Vec::new(), "loyalty asks nobody");
        for event in &decision.events {
            self.balance.evolve(event, self.now);
        }
        Ok(decision.events)
    }

    fn days_later(&mut self, days: i64) -> &mut Stream {
        self.now = self.now.plus_millis(days * DAY_MS);
        self
    }

    fn points(&self) -> u32 {
        self.balance.balance_at(self.now)
    }

    fn tier(&self) -> Option<&str> {
        self.balance.tier_at(self.now, &self.context.reference.loyalty).map(|tier| tier.name.as_str())
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn booking(number: u128) -> BookingId {
    BookingId(Uuid::from_u128(number))
}

fn accrue(number: u128, francs: i64) -> LoyaltyCommand {
    accrue_of(number, Currency::Chf, francs * 100)
}

fn accrue_of(number: u128, currency: Currency, amount: i64) -> LoyaltyCommand {
    LoyaltyCommand::Accrue { booking_id: booking(number), paid: Money { currency, amount } }
}

fn redeem(number: u128, points: u32) -> LoyaltyCommand {
    LoyaltyCommand::Redeem { redemption_id: Uuid::from_u128(number), points }
}

fn adjust(number: u128, points: i32) -> LoyaltyCommand {
    LoyaltyCommand::Adjust { adjustment_id: Uuid::from_u128(number), points }
}

fn reverse(number: u128) -> LoyaltyCommand {
    LoyaltyCommand::Reverse { booking_id: booking(number) }
}

fn insufficient(balance: u32, asked: u32) -> Result<Vec<LoyaltyBalanceEvent>, Refusal> {
    Err(LoyaltyRefusal::InsufficientPoints { balance, asked }.into())
}

fn is_invalid(answer: &Result<Vec<LoyaltyBalanceEvent>, Refusal>) -> bool {
    matches!(answer, Err(Refusal::Invalid { field: "points", .. }))
}

#[test]
fn whole_francs_and_euros_earn_points_that_expire_by_the_tenants_calendar() {
    let mut stream = Stream::new(LoyaltyRules { points_per_franc: 3, expiry_months: Some(5), tiers: Vec::new() });
    let events = stream.send(accrue_of(1, Currency::Chf, 89_95)).expect("accrued");
    // Five months on it is summer time: the same time of day in Zurich is an hour earlier in UTC.
    let expires_at = Some(at("2030-06-15T09:00:00Z"));
    let accrued = PointsAccrued { booking_id: booking(1), points: 267, expires_at };
    assert_eq!(events, [LoyaltyBalanceEvent::Accrued(accrued)]);
    stream.send(accrue_of(2, Currency::Eur, 10_00)).expect("accrued");
    assert_eq!(stream.points(), 297);
    for worthless in [99, 0, -50_00] {
        assert_eq!(stream.send(accrue_of(3, Currency::Chf, worthless)), Ok(Vec::new()));
    }
}

#[test]
fn an_expiry_that_no_event_could_name_is_never() {
    for months in [None, Some(12 * 1_000), Some(u32::MAX)] {
        let mut stream = Stream::new(LoyaltyRules { expiry_months: months, ..LoyaltyRules::default() });
        let accrued = PointsAccrued { booking_id: booking(1), points: 10, expires_at: None };
        assert_eq!(stream.send(accrue(1, 10)), Ok(vec![LoyaltyBalanceEvent::Accrued(accrued)]), "{months:?}");
        assert_eq!(stream.balance.balance_at(Timestamp::MAX), 10);
    }
}

#[test]
fn a_booking_earns_once_and_a_redemption_or_adjustment_happens_once() {
    let mut stream = Stream::new(LoyaltyRules::default());
    for command in [accrue(1, 100), redeem(1, 30), adjust(1, 5), adjust(2, -10)] {
        assert_eq!(stream.send(command.clone()).map(|events| events.len()), Ok(1), "{command:?}");
        let state = stream.balance.clone();
        assert_eq!(stream.days_later(1).send(command.clone()), Ok(Vec::new()), "{command:?}");
        assert_eq!(stream.balance, state);
    }
    assert_eq!(stream.points(), 65);
}

#[test]
fn no_command_takes_more_than_is_there() {
    let mut stream = Stream::new(LoyaltyRules::default());
    assert_eq!(stream.send(redeem(1, 1)), insufficient(0, 1));
    stream.send(accrue(1, 50)).expect("accrued");
    assert_eq!(stream.send(redeem(2, 51)), insufficient(50, 51));
    assert_eq!(stream.send(adjust(3, -51)), insufficient(50, 51));
    assert_eq!(stream.send(adjust(4, i32::MIN)), insufficient(50, i32::MIN.unsigned_abs()));
    stream.send(adjust(5, -50)).expect("down to zero");
    assert_eq!((stream.points(), stream.balance.lots.len()), (0, 0));
}

#[test]
fn nothing_is_not_an_amount_and_a_balance_has_a_top() {
    let mut stream = Stream::new(LoyaltyRules { points_per_franc: u32::MAX, ..LoyaltyRules::default() });
    assert!(is_invalid(&stream.send(redeem(1, 0))));
    assert!(is_invalid(&stream.send(adjust(2, 0))));
    stream.send(adjust(3, 7)).expect("adjusted");
    stream.send(accrue(4, i64::MAX / 100)).expect("accrued up to the top");
    assert_eq!(stream.points(), u32::MAX);
    assert!(is_invalid(&stream.send(adjust(5, 1))));
    assert_eq!(stream.send(accrue(6, 1)), Ok(Vec::new()));
}

#[test]
fn the_oldest_points_go_first_and_expire_first() {
    let mut stream = Stream::new(LoyaltyRules { expiry_months: Some(12), ..LoyaltyRules::default() });
    stream.send(accrue(1, 100)).expect("accrued");
    stream.days_later(30).send(adjust(2, 40)).expect("adjusted");
    stream.send(redeem(3, 70)).expect("redeemed");
    assert_eq!(stream.balance.lots.iter().map(|lot| lot.points).collect::<Vec<_>>(), [30, 40]);

    let expiry = at("2031-01-15T10:00:00Z");
    assert_eq!(stream.balance.balance_at(expiry.plus_millis(-1)), 70);
    assert_eq!(stream.balance.balance_at(expiry), 40, "reads need no event");

    stream.now = expiry;
    assert_eq!(stream.send(redeem(4, 41)), insufficient(40, 41));
    assert_eq!(stream.balance.lots.len(), 2, "a refusal leaves nothing behind");
    let expired = LoyaltyBalanceEvent::Expired(PointsExpired { points: 30, expired_until: expiry });
    let redeemed = LoyaltyBalanceEvent::Redeemed(PointsRedeemed { redemption_id: Uuid::from_u128(5), points: 10 });
    assert_eq!(stream.send(redeem(5, 10)), Ok(vec![expired, redeemed]));
    assert_eq!(stream.points(), 30);
    assert_eq!(stream.days_later(30).points(), 0, "points that a person added expire too");
}

#[test]
fn a_reversal_takes_back_what_is_left_of_the_booking_and_nothing_else() {
    let mut stream = Stream::new(LoyaltyRules { expiry_months: Some(12), ..LoyaltyRules::default() });
    stream.send(accrue(1, 100)).expect("accrued");
    stream.send(accrue(2, 20)).expect("accrued");
    stream.send(redeem(3, 60)).expect("redeemed");
    let reversed = LoyaltyBalanceEvent::Reversed(PointsReversed { booking_id: booking(1), points: 40 });
    assert_eq!(stream.send(reverse(1)), Ok(vec![reversed]));
    assert_eq!((stream.points(), stream.balance.earned_within_year(stream.now)), (20, 80));
    assert_eq!(stream.send(accrue(1, 100)), Ok(Vec::new()), "a reversed booking doesn't earn again");
    for gone in [1, 3, 99] {
        assert_eq!(stream.send(reverse(gone)), Err(LoyaltyRefusal::NothingToReverse.into()));
    }
    assert_eq!(stream.days_later(365).send(reverse(2)), Err(LoyaltyRefusal::NothingToReverse.into()), "expired");
}

#[test]
fn tiers_count_a_year_of_earning_and_ignore_spending_and_corrections() {
    let tiers = [("Bronze", 100), ("Silber", 500), ("Gold", 1_000)];
    let tiers = tiers.map(|(name, points)| LoyaltyTier { name: name.to_owned(), points }).to_vec();
    let mut stream = Stream::new(LoyaltyRules { tiers, ..LoyaltyRules::default() });
    assert_eq!(stream.tier(), None);
    stream.send(accrue(1, 99)).expect("accrued");
    stream.send(adjust(2, 5_000)).expect("adjusted");
    assert_eq!(stream.tier(), None);
    stream.send(accrue(3, 401)).expect("accrued");
    stream.send(redeem(4, 3_000)).expect("redeemed");
    assert_eq!(stream.tier(), Some("Silber"));
    stream.days_later(200).send(accrue(5, 500)).expect("accrued");
    assert_eq!(stream.tier(), Some("Gold"));
    assert_eq!(stream.days_later(165).tier(), Some("Gold"), "365 days after the first points");
    assert_eq!(stream.days_later(1).tier(), Some("Silber"));
    stream.send(reverse(5)).expect("reversed");
    assert_eq!(stream.tier(), None);
}

#[test]
fn memory_is_bounded_and_no_point_is_lost_by_it() {
    let mut stream = Stream::new(LoyaltyRules { expiry_months: None, ..LoyaltyRules::default() });
    assert_eq!(size_of::<LoyaltyBalance>(), 80, "without events: nothing on the heap");
    for number in 0..1_500 {
        stream.send(accrue(number, 2)).expect("accrued");
    }
    assert_eq!((stream.balance.lots.len(), stream.balance.done.len()), (LOTS_MAX, DONE_MAX));
    assert_eq!((stream.points(), stream.balance.earned.len()), (3_000, 1));
    for number in 2_000..2_800 {
        stream.days_later(1).send(accrue(number, 1)).expect("accrued");
    }
    assert_eq!((stream.balance.done.len(), stream.balance.earned.len()), (366, 366), "a year, and today");
    assert_eq!(stream.points(), 3_800);
}

#[test]
fn merged_lots_keep_the_later_expiry() {
    let mut stream = Stream::new(LoyaltyRules { expiry_months: Some(24), ..LoyaltyRules::default() });
    stream.send(accrue(0, 1)).expect("accrued");
    stream.days_later(1);
    for number in 1..=1_000 {
        stream.send(accrue(number, 1)).expect("accrued");
    }
    assert_eq!(stream.balance.balance_at(at("2032-01-15T10:00:00Z")), 1_001);
    assert_eq!(stream.balance.balance_at(at("2032-01-16T10:00:00Z")), 0);
}

#[test]
fn a_snapshot_comes_back_as_it_was() {
    let mut stream = Stream::new(LoyaltyRules::default());
    for command in [accrue(1, 100), adjust(2, 10), redeem(3, 20)] {
        stream.send(command).expect("decided");
    }
    let bytes = rmp_serde::to_vec(&stream.balance).expect("encodes");
    assert_eq!(rmp_serde::from_slice::<LoyaltyBalance>(&bytes).expect("decodes"), stream.balance);
}

fn delta(event: &LoyaltyBalanceEvent) -> i64 {
    match event {
        LoyaltyBalanceEvent::Accrued(accrued) => i64::from(accrued.points),
        LoyaltyBalanceEvent::Redeemed(redeemed) => -i64::from(redeemed.points),
        LoyaltyBalanceEvent::Adjusted(adjusted) => i64::from(adjusted.points),
        LoyaltyBalanceEvent::Reversed(reversed) => -i64::from(reversed.points),
        LoyaltyBalanceEvent::Expired(expired) => -i64::from(expired.points),
    }
}

fn any_command() -> impl Strategy<Value = LoyaltyCommand> {
    prop_oneof![
        (0..40_u128, 0..300_i64).prop_map(|(number, francs)| accrue(number, francs)),
        (0..40_u128, 0..200_u32).prop_map(|(number, points)| redeem(number, points)),
        (0..40_u128, -150..150_i32).prop_map(|(number, points)| adjust(number, points)),
        (0..40_u128).prop_map(reverse),
    ]
}

proptest! {
    #[test]
    fn the_balance_is_the_sum_of_the_events_and_never_negative(
        steps in prop::collection::vec((any_command(), 0..60_i64), 1..80),
    ) {
        let mut stream = Stream::new(LoyaltyRules { expiry_months: Some(6), ..LoyaltyRules::default() });
        let mut sum = 0;
        for (command, days) in steps {
            let before = stream.days_later(days).points();
            match stream.send(command) {
                Ok(events) => {
                    for event in &events {
                        sum += delta(event);
                        prop_assert!(sum >= 0, "{event:?} took more than there was");
                    }
                    prop_assert_eq!(i64::from(stream.points()), sum);
                }
                Err(_) => prop_assert_eq!(stream.points(), before),
            }
        }
    }
}
