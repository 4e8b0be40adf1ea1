use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::ids::{ServiceId, StaffId, TenantId};
use codeccloud_actors::ports::StoreError;
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::delivery::{Delivery, Handler, Mark};
use super::plan::{Plan, Unplanned};

/// The outbox's rows, of all tenants. Every call is a short transaction of its own, so none is ever open while something
/// is sent.
pub trait OutboxStore: Send + Sync + 'static {
    /// To be called before all else: where no worker has run before, entries up to now are nobody's business here. Says
    /// that mail is sent from now on, if this node does: then others plan it too.
    fn begin(&self, with_mail: bool) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Reads entries that nobody has planned, in order, lets `plan` decide, and writes what it says, all in one
    /// transaction. One process of all plans at a time: entries of one booking are planned in their order, each once.
    /// After a crash nothing of it has happened.
    fn plan(&self, batch_max: usize, plan: PlanEntries) -> BoxFuture<'_, Result<Planned, StoreError>>;

    /// Takes deliveries that are due and are the first of their booking and target to be unfinished, as many as there is
    /// room for; a delivery whose sender has gone away is due again when the lease ends. Tenants take turns.
    fn take<'a>(&'a self, room: &'a Room, lease: Duration) -> BoxFuture<'a, Result<Vec<Delivery>, StoreError>>;

    /// Records what became of an attempt. `false`: the lease had ended, and another process has the delivery now.
    fn finish<'a>(
        &'a self,
        delivery: &'a Delivery,
        mark: &'a Mark,
        status: Option<u16>,
        reason: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Marks entries as processed of which nothing is open, where that is ours to do. An entry that somebody else has
    /// locked is marked later. Returns how many were.
    fn mark(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

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

/// For how many deliveries of a handler there is room. A tenant has a share of the senders, and each of its targets a share
/// of that, so that slow ones leave room for the others.
#[derive(Debug, Clone)]
pub struct Room {
    pub handler: Handler,
    pub limit: usize,
    pub per_tenant: usize,
    pub per_target: usize,
    /// Tenant and target of each delivery under way, which count towards the shares.
    pub under_way: Vec<(TenantId, Uuid)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Depth {
    /// Entries that are not planned or have a delivery that is waiting or dead.
    pub entries: i64,
    /// Of the oldest entry that is not planned, or the delivery that waits for longest.
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
