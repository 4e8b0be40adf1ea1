use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::BookingId;
use crate::reference::{LoyaltyRules, LoyaltyTier};
use crate::time::{DAY_MS, Timestamp};

/// Tiers count the points of this many days, and what was done is remembered for as long.
pub(super) const YEAR_DAYS: i32 = 365;

/// Most customers have a handful of lots and few come twice; empty lists take no room on the heap.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LoyaltyBalance {
    /// Oldest first. What is spent, taken back or expired is gone.
    pub(super) lots: Vec<Lot>,
    /// Points earned within a year, one entry per day, ascending.
    pub(super) earned: Vec<EarnedDay>,
    /// What must not happen twice, oldest first.
    pub(super) done: VecDeque<Done>,
}

/// What is left of points that came in together and expire together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Lot {
    pub earned_at: Timestamp,
    pub points: u32,
    /// `None` is never.
    pub expires_at: Option<Timestamp>,
    /// `None` for points that a person added, and for old lots that were merged.
    pub booking_id: Option<BookingId>,
}

/// Days are UTC days since 1970: folding knows no zone, and a tier is not a matter of hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EarnedDay {
    pub day: i32,
    pub points: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Done {
    pub what: Once,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Once {
    Accrual(BookingId),
    Redemption(Uuid),
    Adjustment(Uuid),
}

impl LoyaltyBalance {
    /// What can be spent at `now`; points whose time is up don't count, whether or not an event says so yet.
    pub fn balance_at(&self, now: Timestamp) -> u32 {
        sum(self.lots.iter().filter(|lot| !lot.is_due(now)))
    }

    /// All that is left, whether or not its time is up: the sum of all events.
    pub fn points(&self) -> u64 {
        self.lots.iter().map(|lot| u64::from(lot.points)).sum()
    }

    /// The highest tier that the points earned in the 365 days before `now` reach. Spending doesn't lower it;
    /// corrections by a person don't count.
    pub fn tier_at<'r>(&self, now: Timestamp, rules: &'r LoyaltyRules) -> Option<&'r LoyaltyTier> {
        let earned = self.earned_within_year(now);
        rules.tiers.iter().rfind(|tier| u64::from(tier.points) <= earned)
    }

    /// Points from bookings, without those that were taken back, in the 365 days before `now`. The first day counts as
    /// a whole, in the customer's favour.
    pub fn earned_within_year(&self, now: Timestamp) -> u64 {
        let first_day = day_of(now) - YEAR_DAYS;
        self.earned.iter().filter(|earned| earned.day >= first_day).map(|earned| u64::from(earned.points)).sum()
    }

    /// The points that are lost next unless they are spent, and when.
    pub fn next_expiry(&self, now: Timestamp) -> Option<(u32, Timestamp)> {
        let at = self.lots.iter().filter(|lot| !lot.is_due(now)).filter_map(|lot| lot.expires_at).min()?;
        Some((sum(self.lots.iter().filter(|lot| lot.expires_at == Some(at))), at))
    }

    /// The points whose time is up although no event says so yet, and when the last of them expired.
    pub fn expiry_due(&self, now: Timestamp) -> Option<(u32, Timestamp)> {
        let at = self.lots.iter().filter(|lot| lot.is_due(now)).filter_map(|lot| lot.expires_at).max()?;
        Some((self.points_due(now), at))
    }

    pub(super) fn points_due(&self, now: Timestamp) -> u32 {
        sum(self.lots.iter().filter(|lot| lot.is_due(now)))
    }

    pub(super) fn points_left_of(&self, booking_id: BookingId) -> u32 {
        sum(self.lots.iter().filter(|lot| lot.booking_id == Some(booking_id)))
    }

    pub(super) fn has_done(&self, what: Once) -> bool {
        self.done.iter().any(|done| done.what == what)
    }
}

impl Lot {
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

pub(super) fn day_of(instant: Timestamp) -> i32 {
    i32::try_from(instant.as_millis().div_euclid(DAY_MS)).expect("instants lie between the years 1900 and 2200")
}

fn sum<'a>(lots: impl Iterator<Item = &'a Lot>) -> u32 {
    lots.fold(0, |points, lot| points.saturating_add(lot.points))
}
