use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::ids::{ServiceId, StaffId, TenantId};
use codeccloud_actors::ports::StoreError;
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::delivery::{Delivery, Mark};
use super::plan::{Plan, Unplanned};

/// The outbox's rows, of all tenants. Every call is a short transaction of its own, so none is ever open while something
/// is sent.
pub trait OutboxStore: Send + Sync + 'static {
    /// Reads entries that nobody has planned, in order, lets `plan` decide, and writes what it says, all in one
    /// transaction. One process of all plans at a time: entries of one booking are planned in their order, each once.
    /// After a crash nothing of it has happened.
    fn plan(&self, batch_max: usize, plan: PlanEntries) -> BoxFuture<'_, Result<Planned, StoreError>>;

    /// Takes up to `limit` deliveries that are due and are the first of their booking and target to be unfinished; a
    /// delivery whose sender has gone away is due again when the lease ends. Targets in `busy` are left alone.
    fn take<'a>(
        &'a self,
        limit: usize,
        lease: Duration,
        busy: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<Delivery>, StoreError>>;

    /// Records what became of an attempt, and the entry as processed once nothing of it is open. `false`: the lease had
    /// ended, and another process has the delivery now.
    fn finish<'a>(
        &'a self,
        delivery: &'a Delivery,
        mark: &'a Mark,
        status: Option<u16>,
        reason: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Forgets some of what was finished that long ago, and of bookings of last year; `false` when there is no more.
    fn forget(&self, kept: Duration) -> BoxFuture<'_, Result<bool, StoreError>>;

    fn depth(&self) -> BoxFuture<'_, Result<Depth, StoreError>>;

    /// How many unprocessed entries are from before the worker. They are left as they are: whoever was to hear of them
    /// has, or is told by another consumer.
    fn left_alone(&self) -> BoxFuture<'_, Result<i64, StoreError>>;

    /// What a mail calls things; `None` for a tenant that is gone.
    fn salon(
        &self,
        tenant_id: TenantId,
        service_id: Option<ServiceId>,
        staff_id: StaffId,
    ) -> BoxFuture<'_, Result<Option<SalonWords>, StoreError>>;
}

pub type PlanEntries = Arc<dyn Fn(&Unplanned) -> Plan + Send + Sync>;

/// What a round of planning found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// Another process is at it.
    Elsewhere,
    Entries {
        read: usize,
        deliveries: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Depth {
    /// Entries that are not processed, those with a dead letter included.
    pub entries: i64,
    /// Of the oldest entry that is not processed and has no dead letter.
    pub oldest_age: Duration,
    pub dead: i64,
}

#[derive(Debug, Clone)]
pub struct SalonWords {
    pub name: String,
    pub locale: String,
    pub zone: TimeZone,
    pub service: Option<String>,
    pub staff: Option<String>,
}
