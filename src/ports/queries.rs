use codeccloud_actors::aggregates::loyalty_balance::{LoyaltyBalance, LoyaltyBalanceEvent, PointsExpired};
use codeccloud_actors::envelope::Caller;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{BookingId, CustomerId, ProductId, ServiceId, StaffId, TenantId, Version};
use codeccloud_actors::money::Currency;
use codeccloud_actors::projections::revenue::Figures;
use codeccloud_actors::reference::TenantReference;
use codeccloud_actors::sagas::booking::{BookingDetails, BookingStatus};
use codeccloud_actors::time::{Slot, Timestamp};
use futures_util::future::BoxFuture;
use jiff::civil::Date;
use uuid::Uuid;

/// Reads. Each waits, up to a bound, until it sees what the same user wrote before.
///
/// A `customer` sees the own bookings and points only; what is another's is as if it weren't there.
pub trait Queries: Send + Sync + 'static {
    /// In order of time, then of staff. `NotFound` for a service or a staff member that isn't there; `TooManySlots` rather
    /// than an answer without bound.
    fn availability(&self, scope: Scope, query: AvailabilityQuery)
    -> BoxFuture<'_, Result<Vec<SlotOffer>, QueryError>>;

    fn booking(&self, scope: Scope, id: BookingId) -> BoxFuture<'_, Result<BookingView, QueryError>>;

    fn bookings(&self, scope: Scope, filter: BookingFilter) -> BoxFuture<'_, Result<Page<BookingView>, QueryError>>;

    fn loyalty(&self, scope: Scope, customer_id: CustomerId) -> BoxFuture<'_, Result<LoyaltyView, QueryError>>;

    /// Newest first.
    fn loyalty_history(
        &self,
        scope: Scope,
        customer_id: CustomerId,
        before: Option<Version>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<LoyaltyEntry>, QueryError>>;

    /// `from` to `to`, both included, in the tenant's calendar; only days with something on them.
    fn staff_utilisation(
        &self,
        scope: Scope,
        staff_id: Option<StaffId>,
        from: Date,
        to: Date,
    ) -> BoxFuture<'_, Result<Vec<UtilisationDay>, QueryError>>;

    /// `NotFound` for a product that isn't there; one that was never moved has an empty stock at version 0.
    fn stock(&self, scope: Scope, product_id: ProductId) -> BoxFuture<'_, Result<StockView, QueryError>>;

    /// Newest first. A reservation whose time is up has its movement once the next command has written it.
    fn stock_movements(
        &self,
        scope: Scope,
        product_id: ProductId,
        before: Option<Version>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<StockMovement>, QueryError>>;

    /// The stock of each of the tenant's products, ascending by their ids.
    fn inventory(&self, scope: Scope) -> BoxFuture<'_, Result<Vec<StockView>, QueryError>>;

    /// `from` to `to`, both included, in the tenant's calendar.
    fn dashboard(
        &self,
        scope: Scope,
        from: Date,
        to: Date,
        currency: Currency,
    ) -> BoxFuture<'_, Result<Dashboard, QueryError>>;

    /// Ascending by what it is broken down by; what has no bookings is left out.
    fn revenue(&self, scope: Scope, query: RevenueQuery) -> BoxFuture<'_, Result<Vec<RevenueRow>, QueryError>>;
}

#[derive(Debug, Clone, Copy)]
pub struct Scope {
    pub tenant_id: TenantId,
    pub caller: Caller,
}

impl Scope {
    /// Whether what is this customer's, or nobody's, is there for the caller.
    pub fn sees(&self, customer_id: Option<CustomerId>) -> bool {
        self.caller.own_customer().is_none_or(|own| customer_id == Some(own))
    }
}

/// Slots of one answer at most: some ten megabytes of JSON, and more than a week of fifty people around the clock.
pub const SLOTS_MAX: usize = 50_000;

#[derive(Debug, Clone)]
pub struct AvailabilityQuery {
    pub service_id: ServiceId,
    /// `None` is everyone who performs the service.
    pub staff_id: Option<StaffId>,
    pub range: Slot,
    pub granularity_minutes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotOffer {
    pub slot: Slot,
    pub service_id: ServiceId,
    pub staff_id: StaffId,
}

/// A booking without personal data.
#[derive(Debug, Clone, PartialEq)]
pub struct BookingView {
    pub id: BookingId,
    pub version: Version,
    pub details: BookingDetails,
}

#[derive(Debug, Clone, Default)]
pub struct BookingFilter {
    /// Bookings whose slot starts in `[from, to)`.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub staff_id: Option<StaffId>,
    pub customer_id: Option<CustomerId>,
    /// Empty is any. `Scheduled` includes the moved ones; see `moved`.
    pub statuses: Vec<BookingStatus>,
    pub moved: Option<bool>,
    pub order: BookingOrder,
    /// The slot start and id of the last booking of the page before.
    pub after: Option<(Timestamp, BookingId)>,
    pub limit: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BookingOrder {
    #[default]
    EarliestFirst,
    LatestFirst,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoyaltyView {
    pub customer_id: CustomerId,
    pub balance: u32,
    pub earned_last_year: u32,
    pub tier: Option<String>,
    /// The points that expire next, and when.
    pub next_expiry: Option<(u32, Timestamp)>,
    pub version: Version,
}

impl LoyaltyView {
    pub fn of(
        customer_id: CustomerId,
        version: Version,
        balance: &LoyaltyBalance,
        reference: &TenantReference,
        now: Timestamp,
    ) -> LoyaltyView {
        LoyaltyView {
            customer_id,
            balance: balance.balance_at(now),
            earned_last_year: u32::try_from(balance.earned_within_year(now)).unwrap_or(u32::MAX),
            tier: balance.tier_at(now, &reference.loyalty).map(|tier| tier.name.clone()),
            next_expiry: balance.next_expiry(now),
            version,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoyaltyEntry {
    pub version: Version,
    pub kind: &'static str,
    /// Signed.
    pub points: i64,
    pub booking_id: Option<BookingId>,
    pub occurred_at: Timestamp,
}

impl LoyaltyEntry {
    pub fn of(event: &LoyaltyBalanceEvent, version: Version, occurred_at: Timestamp) -> LoyaltyEntry {
        let (points, booking_id) = match event {
            LoyaltyBalanceEvent::Accrued(event) => (i64::from(event.points), Some(event.booking_id)),
            LoyaltyBalanceEvent::Redeemed(event) => (-i64::from(event.points), None),
            LoyaltyBalanceEvent::Adjusted(event) => (i64::from(event.points), None),
            LoyaltyBalanceEvent::Reversed(event) => (-i64::from(event.points), Some(event.booking_id)),
            LoyaltyBalanceEvent::Expired(event) => (-i64::from(event.points), None),
        };
        LoyaltyEntry { version, kind: event.event_type(), points, booking_id, occurred_at }
    }

    /// What has expired since the last entry, at `head`, which the next command will write down in the version after it: so
    /// that the history adds up to the balance at any time.
    pub fn expiry_due(head: Version, balance: &LoyaltyBalance, now: Timestamp) -> Option<LoyaltyEntry> {
        let (points, expired_until) = balance.expiry_due(now)?;
        let expired = LoyaltyBalanceEvent::Expired(PointsExpired { points, expired_until });
        Some(LoyaltyEntry::of(&expired, head.next(), expired_until))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UtilisationDay {
    pub staff_id: StaffId,
    pub date: Date,
    pub booked_minutes: u32,
    pub working_minutes: u32,
}

/// What there is at the time of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockView {
    pub product_id: ProductId,
    pub on_hand: i64,
    /// Reservations whose time is up don't count, whether or not a movement says so yet.
    pub reserved: i64,
    pub version: Version,
}

impl StockView {
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockMovement {
    pub version: Version,
    pub quantity_delta: i64,
    pub reserved_delta: i64,
    /// A code.
    pub reason: String,
    pub reservation_id: Option<Uuid>,
    pub occurred_at: Timestamp,
}

/// Figures count a booking on the local day on which its slot begins, whatever has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    pub figures: Figures,
    /// Of those days of all people that have working hours on record and something booked.
    pub booked_minutes: u64,
    pub working_minutes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevenueQuery {
    /// Both included, in the tenant's calendar; by month, the whole months in which they lie.
    pub from: Date,
    pub to: Date,
    pub currency: Currency,
    pub by: RevenueBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevenueBy {
    Day,
    Month,
    Staff,
    Service,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevenueRow {
    pub of: RevenueOf,
    pub figures: Figures,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevenueOf {
    Day(Date),
    /// Its first day.
    Month(Date),
    Staff(StaffId),
    /// `None` only for bookings that were brought in without.
    Service(Option<ServiceId>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The answer would have more of them than anybody reads.
    #[error("more than {slots_max} slots")]
    TooManySlots { slots_max: usize },
    /// What is read from doesn't have yet, or not at all, what the user may expect to see.
    #[error("{0}")]
    Behind(String),
    #[error("{0}")]
    Unavailable(String),
}
