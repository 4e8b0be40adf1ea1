use std::sync::Arc;

use codeccloud_actors::envelope::{Caller, Role};
use codeccloud_actors::ids::{ProductId, ServiceId, StaffId, TenantId, UserId};
use codeccloud_actors::money::Money;
use codeccloud_actors::reference::TenantReference;
use codeccloud_actors::time::Slot;
use futures_util::future::BoxFuture;
use jiff::civil::Date;
use uuid::Uuid;

use super::IdempotencyKey;

/// Whether reference data is still as a caller has seen it. Asked of what the change's own transaction finds.
pub type Precondition = Arc<dyn Fn(&TenantReference) -> bool + Send + Sync>;

/// Reference data: rows in every stage. Reads come from memory; a change returns once this node's memory has it.
pub trait Reference: Send + Sync + 'static {
    /// `None` for a tenant that isn't there, or is deleted.
    fn tenant(&self, tenant_id: TenantId) -> Option<Arc<TenantReference>>;

    /// Brings memory up to date for a user whom it doesn't know, or not in that role: a token may be younger than what
    /// memory holds. Each such user costs the store a look a second at most.
    fn look_again(&self, _tenant_id: TenantId, _user_id: UserId) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Brings memory up to date for a tenant of which it turned out to hold something old.
    fn refresh(&self, _tenant_id: TenantId) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn create_service(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewService,
        idempotency: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<(ServiceId, bool), ReferenceError>>;

    fn change_service(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: ServiceId,
        change: ServiceChange,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>>;

    fn create_product(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewProduct,
        idempotency: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<(ProductId, bool), ReferenceError>>;

    fn change_product(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: ProductId,
        change: ProductChange,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>>;

    fn create_staff(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewStaff,
        idempotency: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<(StaffId, bool), ReferenceError>>;

    fn change_staff(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: StaffId,
        change: StaffChange,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>>;

    /// `None` puts no hours on record: always available.
    fn set_working_hours(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: StaffId,
        hours: Option<Vec<WorkingHours>>,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>>;

    /// Hours of one day; `intervals: None` takes the exception away.
    fn set_hours_exception(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: StaffId,
        exception: HoursException,
        precondition: Option<Precondition>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>>;

    fn time_off(&self, tenant_id: TenantId, id: StaffId) -> BoxFuture<'_, Result<Vec<TimeOffEntry>, ReferenceError>>;

    fn add_time_off(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewTimeOff,
        idempotency: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<(Uuid, bool), ReferenceError>>;

    fn remove_time_off(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        staff_id: StaffId,
        id: Uuid,
    ) -> BoxFuture<'_, Result<(), ReferenceError>>;

    /// `POST /v1/staff/invite`: a member, and a staff profile for one who serves customers.
    fn invite(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewMember,
        idempotency: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<Invited, ReferenceError>>;
}

#[derive(Debug, Clone)]
pub struct NewService {
    pub name: String,
    pub duration_minutes: u32,
    pub price: Money,
    pub buffer_before_minutes: u32,
    pub buffer_after_minutes: u32,
    /// `None` is everyone.
    pub staff_ids: Option<Vec<StaffId>>,
}

#[derive(Debug, Clone, Default)]
pub struct ServiceChange {
    pub name: Option<String>,
    pub duration_minutes: Option<u32>,
    pub price: Option<Money>,
    pub buffer_before_minutes: Option<u32>,
    pub buffer_after_minutes: Option<u32>,
    pub active: Option<bool>,
    /// `Some(None)` is everyone.
    pub staff_ids: Option<Option<Vec<StaffId>>>,
}

#[derive(Debug, Clone)]
pub struct NewProduct {
    pub sku: String,
    pub name: String,
    pub description: Option<String>,
    pub price: Money,
    pub minimum_stock: u32,
}

#[derive(Debug, Clone, Default)]
pub struct ProductChange {
    pub sku: Option<String>,
    pub name: Option<String>,
    /// `Some(None)` is none.
    pub description: Option<Option<String>>,
    pub price: Option<Money>,
    pub active: Option<bool>,
    pub minimum_stock: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct NewStaff {
    pub display_name: String,
    pub color: String,
    pub user_id: Option<UserId>,
}

#[derive(Debug, Clone, Default)]
pub struct StaffChange {
    pub display_name: Option<String>,
    pub color: Option<String>,
    pub active: Option<bool>,
}

/// `weekday` 1 is Monday; minutes since midnight by the clock on the wall, `end_minute` up to 1440.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkingHours {
    pub weekday: u8,
    pub start_minute: u16,
    pub end_minute: u16,
}

#[derive(Debug, Clone)]
pub struct HoursException {
    pub date: Date,
    pub intervals: Option<Vec<(u16, u16)>>,
}

#[derive(Debug, Clone, Copy)]
pub struct NewTimeOff {
    pub staff_id: StaffId,
    pub slot: Slot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOffEntry {
    pub id: Uuid,
    pub slot: Slot,
}

/// The member, the profile of one who serves customers, and whether the answer is that of an earlier request.
pub type Invited = (UserId, Option<StaffId>, bool);

/// The e-mail address of an invitation is not kept: sending it is the outbox's, in a later capability.
#[derive(Debug, Clone)]
pub struct NewMember {
    pub user_id: UserId,
    pub role: Role,
    pub display_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("{0} not found")]
    NotFound(&'static str),
    #[error("{0}")]
    Conflict(String),
    #[error("{field}: {message}")]
    Invalid { field: &'static str, message: String },
    #[error("it has changed since")]
    Outdated,
    #[error("the idempotency key was used for another request")]
    IdempotencyConflict,
    /// The database's policies refuse it: not a member, or no longer one.
    #[error("not allowed")]
    Forbidden,
    #[error("{0}")]
    Unavailable(String),
}
