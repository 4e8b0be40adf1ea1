use crate::ids::BookingId;
use crate::time::{DAY_MS, Timestamp};

use super::events::LoyaltyBalanceEvent;
use super::state::{Done, EarnedDay, Lot, LoyaltyBalance, Once, YEAR_DAYS, day_of};

/// Nobody has as many visits in the lifetime of points; it bounds what a faulty client could pile up.
pub(super) const LOTS_MAX: usize = 1_000;
/// A client's retry comes within minutes.
pub(super) const DONE_MAX: usize = 1_000;

pub(super) fn evolve(balance: &mut LoyaltyBalance, event: &LoyaltyBalanceEvent, occurred_at: Timestamp) {
    match event {
        LoyaltyBalanceEvent::Accrued(accrued) => {
            balance.add(Lot {
                earned_at: occurred_at,
                points: accrued.points,
                expires_at: accrued.expires_at,
                booking_id: Some(accrued.booking_id),
            });
            balance.count_earned(accrued.points, occurred_at);
            balance.remember(Once::Accrual(accrued.booking_id), occurred_at);
        }
        LoyaltyBalanceEvent::Redeemed(redeemed) => {
            balance.take_oldest(redeemed.points);
            balance.remember(Once::Redemption(redeemed.redemption_id), occurred_at);
        }
        LoyaltyBalanceEvent::Adjusted(adjusted) => {
            match u32::try_from(adjusted.points) {
                Ok(points) => balance.add(Lot {
                    earned_at: occurred_at,
                    points,
                    expires_at: adjusted.expires_at,
                    booking_id: None,
                }),
                Err(_) => balance.take_oldest(adjusted.points.unsigned_abs()),
            }
            balance.remember(Once::Adjustment(adjusted.adjustment_id), occurred_at);
        }
        LoyaltyBalanceEvent::Reversed(reversed) => balance.take_back(reversed.booking_id, reversed.points),
        LoyaltyBalanceEvent::Expired(expired) => balance.lots.retain(|lot| !lot.is_due(expired.expired_until)),
    }
}

impl LoyaltyBalance {
    /// Past the bound the two oldest lots become one, which keeps the later expiry, in the customer's favour.
    fn add(&mut self, lot: Lot) {
        self.lots.push(lot);
        if self.lots.len() > LOTS_MAX {
            let oldest = self.lots.remove(0);
            let merged = &mut self.lots[0];
            merged.points = merged.points.saturating_add(oldest.points);
            merged.expires_at = merged.expires_at.zip(oldest.expires_at).map(|(one, other)| one.max(other));
            merged.booking_id = None;
        }
    }

    fn take_oldest(&mut self, mut points: u32) {
        for lot in &mut self.lots {
            let taken = lot.points.min(points);
            lot.points -= taken;
            points -= taken;
        }
        self.lots.retain(|lot| lot.points > 0);
    }

    fn take_back(&mut self, booking_id: BookingId, points: u32) {
        let Some(lot) = self.lots.iter_mut().find(|lot| lot.booking_id == Some(booking_id)) else { return };
        lot.points = lot.points.saturating_sub(points);
        let day = day_of(lot.earned_at);
        if let Some(earned) = self.earned.iter_mut().find(|earned| earned.day == day) {
            earned.points = earned.points.saturating_sub(points);
        }
        self.lots.retain(|lot| lot.points > 0);
    }

    fn count_earned(&mut self, points: u32, at: Timestamp) {
        let day = day_of(at);
        match self.earned.binary_search_by_key(&day, |earned| earned.day) {
            Ok(index) => self.earned[index].points = self.earned[index].points.saturating_add(points),
            Err(index) => self.earned.insert(index, EarnedDay { day, points }),
        }
        self.earned.retain(|earned| earned.day >= day - YEAR_DAYS);
    }

    fn remember(&mut self, what: Once, at: Timestamp) {
        let forgotten_before = at.plus_millis(-i64::from(YEAR_DAYS) * DAY_MS);
        self.done.push_back(Done { what, at });
        while self.done.len() > DONE_MAX || self.done.front().is_some_and(|done| done.at < forgotten_before) {
            self.done.pop_front();
        }
    }
}
