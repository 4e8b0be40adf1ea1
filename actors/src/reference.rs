//! Reference data: rows in every stage, cached in memory, handed to `decide` as context.
//!
//! Salons change it a few times a week and bookings read it thousands of times a second, so it is one immutable value
//! per tenant, replaced as a whole.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::ids::{ProductId, ServiceId, StaffId, TenantId, UserId};
use crate::money::Money;
use crate::stage::Stage;
use crate::time::{DAY_MS, Slot, Timestamp};

#[derive(Debug, Clone)]
pub struct TenantReference {
    pub tenant_id: TenantId,
    pub slug: String,
    pub name: String,
    pub zone: TimeZone,
    /// As memory has it: whoever writes finds the true one in its transaction.
    pub stage: Stage,
    /// How far ahead a booking may start, in days, where the salon has a say in it.
    pub horizon_days: Option<u32>,
    pub loyalty: LoyaltyRules,
    pub services: HashMap<ServiceId, Service>,
    pub staff: HashMap<StaffId, StaffMember>,
    pub products: HashMap<ProductId, Product>,
    pub members: HashMap<UserId, Member>,
    /// Tokens of these users that were issued before are void.
    pub revocations: HashMap<UserId, Timestamp>,
}

/// Ten years. Whatever starts later is a slip of the pen, and each month ahead is a partition for everybody.
const HORIZON_DAYS_MAX: u32 = 3_653;

impl TenantReference {
    pub fn latest_start(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(i64::from(self.horizon()) * DAY_MS)
    }

    /// In days.
    pub fn horizon(&self) -> u32 {
        self.horizon_days.unwrap_or(HORIZON_DAYS_MAX).min(HORIZON_DAYS_MAX)
    }
}

#[derive(Debug, Clone)]
pub struct Service {
    pub id: ServiceId,
    pub name: String,
    pub duration_minutes: u32,
    pub price: Money,
    pub buffer_before_minutes: u32,
    pub buffer_after_minutes: u32,
    pub active: bool,
    /// Who may perform it; `None`, nothing on record, is everyone.
    pub qualified: Option<HashSet<StaffId>>,
}

#[derive(Debug, Clone)]
pub struct StaffMember {
    pub id: StaffId,
    pub user_id: Option<UserId>,
    pub display_name: String,
    pub color: String,
    pub active: bool,
    pub availability: StaffAvailability,
}

/// What is sold or used up. How much of it there is, the stock item says.
#[derive(Debug, Clone)]
pub struct Product {
    pub id: ProductId,
    /// The salon's own number for it, unique among its products.
    pub sku: String,
    pub name: String,
    pub description: Option<String>,
    pub price: Money,
    pub active: bool,
    /// Below this, more should be ordered.
    pub minimum_stock: u32,
}

/// When a person works, in the tenant's local time.
#[derive(Debug, Clone, Default)]
pub struct StaffAvailability {
    /// `None`, no hours on record, is always available, as in the MVP.
    pub weekly: Option<WeeklyHours>,
    /// Days that have hours of their own; an empty list is a day off.
    pub exceptions: BTreeMap<Date, Vec<LocalInterval>>,
    /// Sorted by start.
    pub time_off: Vec<Slot>,
}

/// Index 0 is Monday.
pub type WeeklyHours = [Vec<LocalInterval>; 7];

/// Minutes since local midnight by the clock on the wall, `[start, end)`, `end` up to 1440.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalInterval {
    pub start_minute: u16,
    pub end_minute: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub role: MemberRole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberRole {
    Staff,
    Manager,
    Owner,
}

/// How points are earned and lost. The defaults: one point per franc, kept for two years.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoyaltyRules {
    pub points_per_franc: u32,
    /// Points expire this many months after they were earned; `None` is never.
    pub expiry_months: Option<u32>,
    /// Ascending by points; the points count what was earned within a year.
    pub tiers: Vec<LoyaltyTier>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LoyaltyTier {
    pub name: String,
    pub points: u32,
}

impl Default for LoyaltyRules {
    fn default() -> Self {
        LoyaltyRules { points_per_franc: 1, expiry_months: Some(24), tiers: Vec::new() }
    }
}
