//! Rows as the core knows them. What doesn't fit is logged and left out, so that one tenant's odd row never keeps the
//! others from being served.

use std::collections::HashMap;

use codeccloud_actors::ids::{ProductId, ServiceId, StaffId, TenantId, UserId};
use codeccloud_actors::money::{Currency, Money};
use codeccloud_actors::reference::{
    LocalInterval, LoyaltyRules, LoyaltyTier, Member, MemberRole, Product, Service, StaffAvailability, StaffMember,
    TenantReference, WeeklyHours,
};
use codeccloud_actors::stage::Stage;
use codeccloud_actors::time::Slot;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use crate::postgres::types::PgTime;

const ZONE_DEFAULT: &str = "Europe/Zurich";

/// What `tenant_settings.loyalty_tiers` defaults to, for a tenant that has no row there.
const TIERS_DEFAULT: [(&str, u32); 2] = [("silver", 500), ("gold", 1_500)];

/// The MVP lets profiles be without one.
const COLOR_DEFAULT: &str = "#7c8794";

pub(super) fn tenant(row: &Row) -> TenantReference {
    let tenant_id = TenantId(row.get(0));
    TenantReference {
        tenant_id,
        slug: row.get(1),
        name: row.get(2),
        zone: zone(tenant_id, row.get::<_, Option<&str>>(3).unwrap_or(ZONE_DEFAULT)),
        stage: stage(tenant_id, row.get(8)),
        horizon_days: row.get::<_, Option<i32>>(4).map(unsigned),
        loyalty: loyalty(tenant_id, row),
        services: HashMap::new(),
        staff: HashMap::new(),
        products: HashMap::new(),
        members: HashMap::new(),
        revocations: HashMap::new(),
    }
}

/// A stage that only newer builds know belongs to no mode of this one: `retired` at least writes no rows.
fn stage(tenant_id: TenantId, name: Option<&str>) -> Stage {
    let Some(name) = name else { return Stage::Mvp };
    Stage::parse(name).unwrap_or_else(|| {
        tracing::error!(%tenant_id, name, "an unknown stage");
        Stage::Retired
    })
}

fn loyalty(tenant_id: TenantId, row: &Row) -> LoyaltyRules {
    let Some(points_per_franc) = row.get::<_, Option<i32>>(5) else {
        let tiers = TIERS_DEFAULT.map(|(name, points)| LoyaltyTier { name: name.to_owned(), points });
        return LoyaltyRules { tiers: tiers.to_vec(), ..LoyaltyRules::default() };
    };
    let mut tiers = match row.try_get(7) {
        Ok(Json::<Vec<LoyaltyTier>>(tiers)) => tiers,
        Err(error) => {
            tracing::error!(%tenant_id, %error, "loyalty tiers that can't be read: none apply");
            Vec::new()
        }
    };
    tiers.sort_by_key(|tier| tier.points);
    let expiry_months = row.get::<_, Option<i32>>(6).map(unsigned);
    LoyaltyRules { points_per_franc: unsigned(points_per_franc), expiry_months, tiers }
}

fn zone(tenant_id: TenantId, name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or_else(|error| {
        tracing::error!(%tenant_id, %error, "an unknown time zone: {ZONE_DEFAULT} applies");
        TimeZone::get(ZONE_DEFAULT).expect("jiff's bundled database has it")
    })
}

pub(super) fn add_member(tenant: &mut TenantReference, row: &Row) {
    let role = match row.get(2) {
        "owner" => MemberRole::Owner,
        "manager" => MemberRole::Manager,
        // The column knows no others, and this one may do least.
        _ => MemberRole::Staff,
    };
    tenant.members.insert(UserId(row.get(1)), Member { role });
}

pub(super) fn add_revocation(tenant: &mut TenantReference, row: &Row) {
    let PgTime(issued_before) = row.get(2);
    tenant.revocations.insert(UserId(row.get(1)), issued_before);
}

pub(super) fn add_service(tenant: &mut TenantReference, row: &Row) {
    let id = ServiceId(row.get(1));
    let Some(currency) = Currency::parse(row.get(5)) else {
        tracing::error!(tenant_id = %tenant.tenant_id, service_id = %id, "a service in an unknown currency is left out");
        return;
    };
    let service = Service {
        id,
        name: row.get(2),
        duration_minutes: unsigned(row.get(3)),
        price: Money { currency, amount: row.get::<_, i32>(4).into() },
        buffer_before_minutes: unsigned(row.get(6)),
        buffer_after_minutes: unsigned(row.get(7)),
        active: row.get(8),
        qualified: None,
    };
    tenant.services.insert(id, service);
}

pub(super) fn add_qualified(tenant: &mut TenantReference, row: &Row) {
    if let Some(service) = tenant.services.get_mut(&ServiceId(row.get(1))) {
        service.qualified.get_or_insert_default().insert(StaffId(row.get(2)));
    }
}

pub(super) fn add_staff_member(tenant: &mut TenantReference, row: &Row) {
    let id = StaffId(row.get(1));
    let member = StaffMember {
        id,
        user_id: row.get::<_, Option<_>>(2).map(UserId),
        display_name: row.get(3),
        color: row.get::<_, Option<_>>(4).unwrap_or_else(|| COLOR_DEFAULT.to_owned()),
        active: row.get(5),
        availability: StaffAvailability::default(),
    };
    tenant.staff.insert(id, member);
}

pub(super) fn add_working_hours(tenant: &mut TenantReference, row: &Row) {
    let interval = local_interval(minute(row.get(3)), minute(row.get(4)));
    if let Some(member) = tenant.staff.get_mut(&StaffId(row.get(1))) {
        add_to_week(&mut member.availability.weekly, row.get(2), interval);
    }
}

/// `weekday` 1 is Monday. A day without intervals is a day off once there are any.
fn add_to_week(weekly: &mut Option<WeeklyHours>, weekday: i16, interval: LocalInterval) {
    let index = usize::try_from(weekday - 1).unwrap_or(usize::MAX);
    if let Some(day) = weekly.get_or_insert_default().get_mut(index) {
        day.push(interval);
    }
}

pub(super) fn add_hours_exception(tenant: &mut TenantReference, row: &Row) {
    let Some(member) = tenant.staff.get_mut(&StaffId(row.get(1))) else { return };
    let Ok(date) = row.get::<_, &str>(2).parse::<Date>() else { return };
    let intervals = match row.try_get(3) {
        Ok(Json::<Vec<(u16, u16)>>(pairs)) => sorted_intervals(&pairs),
        Err(error) => {
            tracing::error!(tenant_id = %tenant.tenant_id, staff_id = %member.id, %date, %error, "hours that can't be read: a day off");
            Vec::new()
        }
    };
    member.availability.exceptions.insert(date, intervals);
}

fn sorted_intervals(pairs: &[(u16, u16)]) -> Vec<LocalInterval> {
    let mut intervals: Vec<LocalInterval> = pairs.iter().map(|&(start, end)| local_interval(start, end)).collect();
    intervals.sort_unstable();
    intervals
}

/// Rows come sorted by start.
pub(super) fn add_time_off(tenant: &mut TenantReference, row: &Row) {
    let (PgTime(start), PgTime(end)) = (row.get(2), row.get(3));
    if let Some(member) = tenant.staff.get_mut(&StaffId(row.get(1))) {
        member.availability.time_off.extend(Slot::new(start, end));
    }
}

pub(super) fn add_product(tenant: &mut TenantReference, row: &Row) {
    let id = ProductId(row.get(1));
    let Some(currency) = Currency::parse(row.get(6)) else {
        tracing::error!(tenant_id = %tenant.tenant_id, product_id = %id, "a product in an unknown currency is left out");
        return;
    };
    let product = Product {
        id,
        sku: row.get(2),
        name: row.get(3),
        description: row.get(4),
        price: Money { currency, amount: row.get::<_, i32>(5).into() },
        active: row.get(7),
        minimum_stock: unsigned(row.get(8)),
    };
    tenant.products.insert(id, product);
}

fn local_interval(start_minute: u16, end_minute: u16) -> LocalInterval {
    LocalInterval { start_minute, end_minute }
}

/// The tables check that these columns aren't negative.
fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

fn minute(value: i32) -> u16 {
    u16::try_from(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_grouped_by_weekday_and_other_days_are_off() {
        let mut weekly = None;
        add_to_week(&mut weekly, 1, local_interval(540, 720));
        add_to_week(&mut weekly, 1, local_interval(780, 1080));
        add_to_week(&mut weekly, 7, local_interval(600, 660));
        let week = weekly.unwrap();
        assert_eq!(week[0], [local_interval(540, 720), local_interval(780, 1080)]);
        assert_eq!(week[6], [local_interval(600, 660)]);
        assert!(week[1..6].iter().all(Vec::is_empty));
    }

    #[test]
    fn a_days_own_hours_are_sorted() {
        let sorted = sorted_intervals(&[(780, 1080), (540, 720)]);
        assert_eq!(sorted, [local_interval(540, 720), local_interval(780, 1080)]);
    }

    #[test]
    fn an_unknown_zone_is_the_default_one() {
        let zone = zone(TenantId(uuid::Uuid::nil()), "Europe/Atlantis");
        assert_eq!(zone.iana_name(), Some(ZONE_DEFAULT));
    }
}
