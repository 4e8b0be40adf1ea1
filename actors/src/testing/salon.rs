//! A small salon in Zurich. Tests change its public fields where they need something else.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::aggregate::Context;
use crate::envelope::{Caller, Role};
use crate::ids::{BookingId, ProductId, ServiceId, StaffId, TenantId, UserId};
use crate::money::{Currency, Money};
use crate::reference::{
    LocalInterval, LoyaltyRules, Member, MemberRole, Product, Service, StaffAvailability, StaffMember, TenantReference,
};
use crate::time::{Slot, Timestamp};

/// Has no hours on record.
pub const ANNA: StaffId = StaffId(Uuid::from_u128(0xA));
/// Works Monday to Friday, 9 to 12 and 13 to 18.
pub const BEA: StaffId = StaffId(Uuid::from_u128(0xB));

/// 60 minutes, no buffers, everyone.
pub const HAIRCUT: ServiceId = ServiceId(Uuid::from_u128(0x51));
/// 90 minutes, 10 before and 15 after, everyone.
pub const COLOUR: ServiceId = ServiceId(Uuid::from_u128(0x52));
/// 30 minutes, no buffers, Bea only.
pub const MASSAGE: ServiceId = ServiceId(Uuid::from_u128(0x53));

/// Of each of these there should be 5 at least.
pub const SHAMPOO: ProductId = ProductId(Uuid::from_u128(0x61));
pub const BALM: ProductId = ProductId(Uuid::from_u128(0x62));
/// Not sold any more.
pub const WAX: ProductId = ProductId(Uuid::from_u128(0x63));

const OWNER: UserId = UserId(Uuid::from_u128(0x01));

pub fn salon() -> TenantReference {
    let colour = Service { buffer_before_minutes: 10, buffer_after_minutes: 15, ..service(COLOUR, 90) };
    let massage = Service { qualified: Some([BEA].into()), ..service(MASSAGE, 30) };
    let mut bea = staff_member(BEA);
    let workday = vec![interval(9, 12), interval(13, 18)];
    bea.availability.weekly =
        Some(std::array::from_fn(|weekday| if weekday < 5 { workday.clone() } else { Vec::new() }));
    TenantReference {
        tenant_id: TenantId(Uuid::from_u128(0x7E)),
        slug: "salon".to_owned(),
        name: "Salon".to_owned(),
        stage: crate::stage::Stage::Retired,
        zone: TimeZone::get("Europe/Zurich").expect("bundled"),
        horizon_days: None,
        loyalty: LoyaltyRules::default(),
        services: [service(HAIRCUT, 60), colour, massage].map(|service| (service.id, service)).into(),
        staff: [staff_member(ANNA), bea].map(|member| (member.id, member)).into(),
        products: [
            product(SHAMPOO, "Shampoo"),
            product(BALM, "Balm"),
            Product { active: false, ..product(WAX, "Wax") },
        ]
        .map(|product| (product.id, product))
        .into(),
        members: HashMap::from([(OWNER, Member { role: MemberRole::Owner })]),
        revocations: HashMap::new(),
    }
}

/// Everyone may perform it, without buffers, for 80 francs.
pub fn service(id: ServiceId, duration_minutes: u32) -> Service {
    Service {
        id,
        name: "Service".to_owned(),
        duration_minutes,
        price: Money { currency: Currency::Chf, amount: 8_000 },
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        active: true,
        qualified: None,
    }
}

/// Without hours on record.
pub fn staff_member(id: StaffId) -> StaffMember {
    StaffMember {
        id,
        user_id: None,
        display_name: "Member".to_owned(),
        color: "#336699".to_owned(),
        active: true,
        availability: StaffAvailability::default(),
    }
}

pub fn product(id: ProductId, name: &str) -> Product {
    Product {
        id,
        sku: name.to_lowercase(),
        name: name.to_owned(),
        description: None,
        price: Money { currency: Currency::Chf, amount: 2_450 },
        active: true,
        minimum_stock: 5,
    }
}

/// The owner asks.
pub fn context(reference: TenantReference) -> Context {
    Context { reference: Arc::new(reference), caller: Caller { user_id: OWNER, role: Role::Owner } }
}

pub fn booking_id(number: u128) -> BookingId {
    BookingId(Uuid::from_u128(0xB00C << 64 | number))
}

/// Reads `2027-03-01T09:00:00+01:00`.
pub fn time(text: &str) -> Timestamp {
    text.parse().expect("a time with an offset")
}

pub fn slot(start: &str, minutes: i64) -> Slot {
    let start = time(start);
    Slot::new(start, start.plus_minutes(minutes)).expect("a length above 0")
}

fn interval(start_hour: u16, end_hour: u16) -> LocalInterval {
    LocalInterval { start_minute: start_hour * 60, end_minute: end_hour * 60 }
}
