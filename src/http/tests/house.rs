use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use codeccloud_actors::aggregate::Aggregate;
use codeccloud_actors::aggregates::loyalty_balance::LoyaltyBalance;
use codeccloud_actors::aggregates::stock_item::{StockItem, StockItemEvent, StockReceived};
use codeccloud_actors::answer::{StateView, Verdict};
use codeccloud_actors::command::Command;
use codeccloud_actors::envelope::{Caller, Role};
use codeccloud_actors::ids::{
    BookingId, CustomerId, EventId, ProductId, ServiceId, StaffId, TenantId, UserId, Version,
};
use codeccloud_actors::money::{Currency, Money};
use codeccloud_actors::projections::revenue::{Figures, Tally};
use codeccloud_actors::reference::{Member, MemberRole, TenantReference};
use codeccloud_actors::refusal::Refusal;
use codeccloud_actors::sagas::booking::{BookingCommand, BookingDetails, BookingSaga, BookingStatus};
use codeccloud_actors::testing::{ANNA, BALM, HAIRCUT, SHAMPOO, WAX, salon, slot, time};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, ready};
use jiff::civil::Date;
use uuid::Uuid;

use super::{BOOKING, CUSTOMER, STRANGER};
use crate::ports::*;
use crate::vault::{CustomerProfile, NoteKind};

/// What the house does with the next commands and queries.
pub enum Mood {
    Accepts,
    Refuses(Refusal),
    Fails(CommandError),
    Hangs,
    Panics,
}

pub struct House {
    mood: Mood,
    pub replays: bool,
    pub reference: Arc<TenantReference>,
    /// What came through the door, in words.
    pub seen: Mutex<Vec<String>>,
}

impl House {
    pub fn that(mood: Mood) -> Arc<House> {
        Arc::new(House::new(mood))
    }

    pub fn new(mood: Mood) -> House {
        let mut reference = salon();
        let members =
            [(Role::Owner, MemberRole::Owner), (Role::Manager, MemberRole::Manager), (Role::Staff, MemberRole::Staff)];
        reference.members = members.map(|(role, member)| (user(role), Member { role: member })).into();
        House { mood, replays: false, reference: Arc::new(reference), seen: Mutex::default() }
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("not poisoned").clone()
    }

    fn saw(&self, what: String) {
        self.seen.lock().expect("not poisoned").push(what);
    }
}

pub fn tenant_id() -> TenantId {
    salon().tenant_id
}

pub fn user(role: Role) -> UserId {
    match role {
        Role::Owner => UserId(Uuid::from_u128(1)),
        Role::Manager => UserId(Uuid::from_u128(2)),
        Role::Staff => UserId(Uuid::from_u128(3)),
        Role::Customer => UserId(CUSTOMER.parse().expect("a UUID")),
        Role::Service | Role::Operator => UserId(Uuid::from_u128(4)),
    }
}

/// Tokens are a role, or `role@user` for another user.
impl Authenticator for House {
    fn authenticate(&self, token: &str) -> Result<Identity, InvalidToken> {
        let (role, number) = token.split_once('@').unwrap_or((token, ""));
        let role = Role::parse(role).ok_or(InvalidToken)?;
        let user_id = number.parse().map_or(user(role), |number| UserId(Uuid::from_u128(number)));
        let (issued_at, expires_at) = (None, time("2099-01-01T00:00:00Z"));
        Ok(Identity { tenant_id: tenant_id(), user_id, role, issued_at, expires_at })
    }
}

impl Readiness for House {
    fn missing(&self) -> BoxFuture<'_, Vec<String>> {
        let missing = if matches!(self.mood, Mood::Accepts) { Vec::new() } else { vec!["database".to_owned()] };
        ready(missing).boxed()
    }
}

impl Commands for House {
    fn execute(&self, request: CommandRequest) -> BoxFuture<'_, Result<Answered, CommandError>> {
        let note = request.personal.note.as_ref();
        let noted = note.map_or_else(String::new, |note| format!(" with {:?} {}", note.kind, note.text));
        self.saw(format!("{:?}{noted} if {:?}", request.command, request.precondition));
        let customer = request.personal.customer.as_ref();
        let reason = note.filter(|note| note.kind == NoteKind::CancellationReason);
        let answer = |verdict: &Verdict<'_>| {
            let rendering = Rendering {
                verdict,
                tenant_id: request.tenant_id,
                customer_id: customer.map(|(id, _)| *id),
                customer: customer.map(|(_, profile)| profile),
                cancellation_reason: reason.map(|reason| reason.text.as_str()),
            };
            Ok(Answered { answer: (request.render)(&rendering), replayed: self.replays })
        };
        let outcome = match &self.mood {
            Mood::Accepts => {
                let (version, event_id) = (Version(3), EventId(Uuid::from_u128(0xE)));
                let (booking, balance) =
                    (BookingSaga { details: Some(after(&request.command)) }, LoyaltyBalance::default());
                let mut stock = StockItem::default();
                let received = StockReceived { movement_id: Uuid::nil(), quantity: 12 };
                stock.evolve(&StockItemEvent::Received(received), time("2027-02-01T09:00:00Z"));
                let state = match &request.command {
                    Command::StockItem(_) => StateView::StockItem(&stock),
                    Command::LoyaltyBalance(..) => StateView::LoyaltyBalance(&balance),
                    Command::Booking(..) | Command::StaffUtilisation(..) => StateView::Booking(&booking),
                };
                answer(&Verdict::Accepted { state, version, event_id, events: &[] })
            }
            Mood::Refuses(refusal) => answer(&Verdict::Refused(refusal)),
            Mood::Fails(error) => Err(error.clone()),
            Mood::Hangs => return pending().boxed(),
            Mood::Panics => panic!("the house fell in"),
        };
        ready(outcome).boxed()
    }
}

fn after(command: &Command) -> BookingDetails {
    let mut details = BookingDetails { reason_recorded: false, ..booking().details };
    let Command::Booking(_, command) = command else { return details };
    match command {
        BookingCommand::Create { .. } | BookingCommand::Confirm | BookingCommand::CheckIn => {}
        BookingCommand::Complete { .. } | BookingCommand::MarkNoShow { .. } => {}
        BookingCommand::Reschedule { slot, .. } => (details.slot, details.moved) = (*slot, true),
        BookingCommand::Cancel { .. } => details.status = BookingStatus::Cancelled,
    }
    details
}

pub fn booking() -> BookingView {
    BookingView {
        id: BOOKING.parse().expect("a UUID"),
        version: Version(3),
        details: BookingDetails {
            status: BookingStatus::Scheduled,
            staff_id: ANNA,
            service_id: Some(HAIRCUT),
            customer_id: Some(CUSTOMER.parse().expect("a UUID")),
            slot: slot("2027-03-01T09:00:00Z", 60),
            price: Money { currency: Currency::Chf, amount: 8_000 },
            moved: false,
            reason_recorded: true,
            created_at: time("2027-02-01T09:00:00Z"),
            updated_at: time("2027-02-02T09:00:00Z"),
        },
    }
}

impl House {
    fn query<T: Send + 'static>(&self, asked: String, answer: T) -> BoxFuture<'_, Result<T, QueryError>> {
        self.saw(asked);
        match &self.mood {
            Mood::Accepts => ready(Ok(answer)).boxed(),
            Mood::Refuses(_) => ready(Err(QueryError::NotFound("booking"))).boxed(),
            Mood::Fails(_) => ready(Err(QueryError::Unavailable("postgres at 10.0.0.7 is away".to_owned()))).boxed(),
            Mood::Hangs => pending().boxed(),
            Mood::Panics => panic!("the house fell in"),
        }
    }
}

impl Queries for House {
    fn availability(&self, _: Scope, query: AvailabilityQuery) -> BoxFuture<'_, Result<Vec<SlotOffer>, QueryError>> {
        let offer = SlotOffer { slot: booking().details.slot, service_id: query.service_id, staff_id: ANNA };
        self.query(format!("{query:?}"), vec![offer])
    }

    fn booking(&self, _: Scope, id: BookingId) -> BoxFuture<'_, Result<BookingView, QueryError>> {
        self.query(format!("{id:?}"), BookingView { id, ..booking() })
    }

    fn bookings(&self, _: Scope, filter: BookingFilter) -> BoxFuture<'_, Result<Page<BookingView>, QueryError>> {
        self.query(format!("{filter:?}"), Page { items: vec![booking()], more: true })
    }

    fn loyalty(&self, _: Scope, customer_id: CustomerId) -> BoxFuture<'_, Result<LoyaltyView, QueryError>> {
        let next_expiry = Some((20, time("2029-01-01T00:00:00Z")));
        let version = if is_stranger(customer_id) { Version::NONE } else { Version(3) };
        let tier = Some("gold".to_owned());
        let view = LoyaltyView { customer_id, balance: 120, earned_last_year: 300, tier, next_expiry, version };
        self.query(format!("{customer_id:?}"), view)
    }

    fn loyalty_history(
        &self,
        _: Scope,
        customer_id: CustomerId,
        before: Option<Version>,
        _: usize,
    ) -> BoxFuture<'_, Result<Page<LoyaltyEntry>, QueryError>> {
        let occurred_at = time("2027-02-01T09:00:00Z");
        let entry = LoyaltyEntry { version: Version(7), kind: "redeemed", points: -50, booking_id: None, occurred_at };
        let items = if is_stranger(customer_id) { Vec::new() } else { vec![entry] };
        self.query(format!("{customer_id:?} before {before:?}"), Page { items, more: true })
    }

    fn staff_utilisation(
        &self,
        _: Scope,
        staff_id: Option<StaffId>,
        date: Date,
        _: Date,
    ) -> BoxFuture<'_, Result<Vec<UtilisationDay>, QueryError>> {
        let staff_id = staff_id.expect("the door asks for one person");
        self.query(
            format!("{staff_id:?}"),
            vec![UtilisationDay { staff_id, date, booked_minutes: 60, working_minutes: 480 }],
        )
    }

    fn stock(&self, _: Scope, product_id: ProductId) -> BoxFuture<'_, Result<StockView, QueryError>> {
        self.query(format!("stock of {product_id}"), stock_of(product_id))
    }

    fn stock_movements(
        &self,
        _: Scope,
        product_id: ProductId,
        before: Option<Version>,
        _: usize,
    ) -> BoxFuture<'_, Result<Page<StockMovement>, QueryError>> {
        let movement = StockMovement {
            version: Version(7),
            quantity_delta: -1,
            reserved_delta: 0,
            reason: "damage".to_owned(),
            reservation_id: None,
            occurred_at: time("2027-02-01T09:00:00Z"),
        };
        let page = Page { items: vec![movement], more: true };
        self.query(format!("movements of {product_id} before {before:?}"), page)
    }

    fn inventory(&self, _: Scope) -> BoxFuture<'_, Result<Vec<StockView>, QueryError>> {
        self.query("inventory".to_owned(), [SHAMPOO, BALM, WAX].map(stock_of).to_vec())
    }

    fn dashboard(
        &self,
        _: Scope,
        from: Date,
        to: Date,
        currency: Currency,
    ) -> BoxFuture<'_, Result<Dashboard, QueryError>> {
        let dashboard = Dashboard { figures: figures(), booked_minutes: 360, working_minutes: 480 };
        self.query(format!("dashboard {from} {to} {currency:?}"), dashboard)
    }

    fn revenue(&self, _: Scope, query: RevenueQuery) -> BoxFuture<'_, Result<Vec<RevenueRow>, QueryError>> {
        let of = match query.by {
            RevenueBy::Day => RevenueOf::Day(query.from),
            RevenueBy::Month => RevenueOf::Month(query.from.first_of_month()),
            RevenueBy::Staff => RevenueOf::Staff(ANNA),
            RevenueBy::Service => RevenueOf::Service(Some(HAIRCUT)),
        };
        self.query(format!("{query:?}"), vec![RevenueRow { of, figures: figures() }])
    }
}

/// Of shampoo there is enough.
fn stock_of(product_id: ProductId) -> StockView {
    let reserved = if product_id == SHAMPOO { 2 } else { 8 };
    StockView { product_id, on_hand: 12, reserved, version: Version(3) }
}

fn figures() -> Figures {
    let tally = |count| Tally { count, cents: 8_000 * count };
    Figures { booked: tally(6), completed: tally(3), cancelled: tally(2), no_show: tally(1) }
}

impl Customers for House {
    fn profiles<'a>(
        &'a self,
        _: TenantId,
        ids: &'a [CustomerId],
    ) -> BoxFuture<'a, Result<HashMap<CustomerId, CustomerProfile>, CustomersError>> {
        ready(Ok(ids.iter().map(|id| (*id, anna())).collect())).boxed()
    }

    fn cancellation_reasons<'a>(
        &'a self,
        _: TenantId,
        ids: &'a [BookingId],
    ) -> BoxFuture<'a, Result<HashMap<BookingId, String>, CustomersError>> {
        ready(Ok(ids.iter().map(|id| (*id, "ill".to_owned())).collect())).boxed()
    }

    fn current(
        &self,
        _: TenantId,
        id: CustomerId,
    ) -> BoxFuture<'_, Result<(CustomerProfile, Version), CustomersError>> {
        ready(if is_stranger(id) { Err(CustomersError::NotFound) } else { Ok((anna(), Version(3))) }).boxed()
    }

    fn change<'a>(
        &'a self,
        _: TenantId,
        _: CustomerId,
        profile: &'a CustomerProfile,
        expected: Version,
    ) -> BoxFuture<'a, Result<Version, CustomersError>> {
        self.saw(format!("{} {:?}", profile.email, profile.phone));
        ready(if expected == Version(3) { Ok(Version(4)) } else { Err(CustomersError::Outdated) }).boxed()
    }
}

fn is_stranger(id: CustomerId) -> bool {
    id.to_string() == STRANGER
}

pub fn anna() -> CustomerProfile {
    CustomerProfile {
        email: "anna@example.ch".to_owned(),
        phone: Some("+41 79 000 00 00".to_owned()),
        first_name: "Anna".to_owned(),
        last_name: "Muster".to_owned(),
    }
}

impl House {
    pub(super) fn changed<T: Send + 'static>(
        &self,
        what: String,
        answer: T,
    ) -> BoxFuture<'_, Result<T, ReferenceError>> {
        self.saw(what);
        ready(Ok(answer)).boxed()
    }
}

impl Reference for House {
    fn tenant(&self, tenant: TenantId) -> Option<Arc<TenantReference>> {
        (tenant == self.reference.tenant_id).then(|| self.reference.clone())
    }

    fn look_again(&self, _: TenantId, _: UserId) -> BoxFuture<'_, ()> {
        self.saw("looks again".to_owned());
        if matches!(self.mood, Mood::Hangs) { pending().boxed() } else { ready(()).boxed() }
    }

    fn create_service(
        &self,
        _: TenantId,
        _: Caller,
        new: NewService,
        _: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<(ServiceId, bool), ReferenceError>> {
        self.changed(format!("{new:?}"), (HAIRCUT, self.replays))
    }

    fn change_service(
        &self,
        _: TenantId,
        _: Caller,
        _: ServiceId,
        change: ServiceChange,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>> {
        if precondition.is_some_and(|holds| !holds(&self.reference)) {
            return ready(Err(ReferenceError::Outdated)).boxed();
        }
        self.changed(format!("{change:?}"), ())
    }

    fn create_product(
        &self,
        _: TenantId,
        _: Caller,
        new: NewProduct,
        _: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<(ProductId, bool), ReferenceError>> {
        self.changed(format!("{new:?}"), (SHAMPOO, self.replays))
    }

    fn change_product(
        &self,
        _: TenantId,
        _: Caller,
        _: ProductId,
        change: ProductChange,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>> {
        if precondition.is_some_and(|holds| !holds(&self.reference)) {
            return ready(Err(ReferenceError::Outdated)).boxed();
        }
        self.changed(format!("{change:?}"), ())
    }

    fn create_staff(
        &self,
        _: TenantId,
        _: Caller,
        new: NewStaff,
        _: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<(StaffId, bool), ReferenceError>> {
        self.changed(format!("{new:?}"), (ANNA, self.replays))
    }

    fn change_staff(
        &self,
        _: TenantId,
        _: Caller,
        _: StaffId,
        change: StaffChange,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>> {
        if precondition.is_some_and(|holds| !holds(&self.reference)) {
            return ready(Err(ReferenceError::Outdated)).boxed();
        }
        self.changed(format!("{change:?}"), ())
    }

    fn set_working_hours(
        &self,
        _: TenantId,
        _: Caller,
        _: StaffId,
        hours: Option<Vec<WorkingHours>>,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>> {
        if precondition.is_some_and(|holds| !holds(&self.reference)) {
            return ready(Err(ReferenceError::Outdated)).boxed();
        }
        self.changed(format!("{hours:?}"), ())
    }

    fn set_hours_exception(
        &self,
        _: TenantId,
        _: Caller,
        _: StaffId,
        exception: HoursException,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>> {
        if precondition.is_some_and(|holds| !holds(&self.reference)) {
            return ready(Err(ReferenceError::Outdated)).boxed();
        }
        self.changed(format!("{exception:?}"), ())
    }

    fn time_off(&self, _: TenantId, _: StaffId) -> BoxFuture<'_, Result<Vec<TimeOffEntry>, ReferenceError>> {
        ready(Ok(vec![TimeOffEntry { id: Uuid::from_u128(0x0F), slot: booking().details.slot }])).boxed()
    }

    fn add_time_off(
        &self,
        _: TenantId,
        _: Caller,
        new: NewTimeOff,
        _: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<(Uuid, bool), ReferenceError>> {
        self.changed(format!("{new:?}"), (Uuid::from_u128(0x0F), self.replays))
    }

    fn remove_time_off(
        &self,
        _: TenantId,
        _: Caller,
        _: StaffId,
        id: Uuid,
    ) -> BoxFuture<'_, Result<(), ReferenceError>> {
        self.changed(format!("{id:?}"), ())
    }

    fn invite(
        &self,
        _: TenantId,
        _: Caller,
        new: NewMember,
        _: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<Invited, ReferenceError>> {
        self.changed(format!("{new:?}"), (new.user_id, Some(ANNA), self.replays))
    }
}
