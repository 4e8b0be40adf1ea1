//! What is to be sent for entries: pure, so that it can be tested without a database, and done at once for as many as
//! there are.

use std::collections::{BTreeMap, HashMap, HashSet};

use codeccloud_actors::ids::{BookingId, TenantId};
use codeccloud_actors::ports::Ids;
use codeccloud_actors::time::Timestamp;
use uuid::Uuid;

use super::change::{KnownBooking, changes, is_passed_through};
use super::delivery::{Handler, Message, NewDelivery};
use super::entry::{BookingChange, BookingRow, Entry, Operation};

/// Entries in the order of their ids, and what is to be known about them.
#[derive(Debug, Default)]
pub struct Unplanned {
    pub entries: Vec<Entry>,
    pub known: HashMap<(TenantId, BookingId), KnownBooking>,
    /// The endpoints that are on, of the entries' tenants.
    pub endpoints: HashMap<TenantId, Vec<Endpoint>>,
    /// Whether any node sends mail.
    pub sends_mail: bool,
}

impl Unplanned {
    /// Leaves out what is beyond a batch, but for what goes on with a row that its transaction has changed within the
    /// batch: whether a state was only passed through shows by the next. Other transactions' entries may lie between the
    /// two; none of them is of that row, which is locked.
    pub fn leave_out_beyond(&mut self, batch_max: usize) {
        let beyond = self.entries.split_off(batch_max.min(self.entries.len()));
        let row = |entry: &Entry| Some((entry.tenant_id?, entry.aggregate_id?, entry.created_at));
        let begun: HashSet<_> = self.entries.iter().filter_map(row).collect();
        self.entries.extend(beyond.into_iter().filter(|entry| row(entry).is_some_and(|row| begun.contains(&row))));
    }
}

#[derive(Debug, Clone)]
pub struct Endpoint {
    pub id: Uuid,
    /// Empty is all of them.
    pub event_types: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Plan {
    pub deliveries: Vec<NewDelivery>,
    pub known: BTreeMap<(TenantId, BookingId), KnownBooking>,
    /// Entries for which nothing is to be sent.
    pub finished: Vec<(Option<TenantId>, i64)>,
}

pub struct Planner<'a> {
    pub ids: &'a dyn Ids,
    pub now: Timestamp,
}

impl Planner<'_> {
    pub fn plan(&self, unplanned: &Unplanned) -> Plan {
        let mut plan = Plan::default();
        let rows: Vec<Option<BookingRow>> = unplanned.entries.iter().map(readable).collect();
        let next = next_of_same_transaction(&unplanned.entries, &rows);
        for (at, (entry, row)) in unplanned.entries.iter().zip(&rows).enumerate() {
            let planned = plan.deliveries.len();
            if let (Some(tenant_id), Some(row)) = (entry.tenant_id, row) {
                let next = next[at].and_then(|next| rows[next].as_ref());
                self.plan_booking(&mut plan, unplanned, entry, tenant_id, row, next);
            }
            if plan.deliveries.len() == planned {
                plan.finished.push((entry.tenant_id, entry.id));
            }
        }
        plan
    }

    fn plan_booking(
        &self,
        plan: &mut Plan,
        unplanned: &Unplanned,
        entry: &Entry,
        tenant_id: TenantId,
        row: &BookingRow,
        next: Option<&BookingRow>,
    ) {
        let endpoints = unplanned.endpoints.get(&tenant_id).map_or(&[][..], Vec::as_slice);
        // Where nobody listens, nothing has to be remembered either.
        if !unplanned.sends_mail && endpoints.is_empty() {
            return;
        }
        let key = (tenant_id, row.id);
        let known = plan.known.get(&key).or_else(|| unplanned.known.get(&key)).copied();
        if entry.operation != Operation::Delete && next.is_some_and(|next| is_passed_through(row, known, next)) {
            if known.is_none() && entry.operation == Operation::Insert {
                // The transaction goes on with it: news once it has come to its end.
                plan.known.insert(key, KnownBooking::draft(row));
            }
            return;
        }
        let told = changes(entry.operation, row, known, entry.created_at);
        let after = KnownBooking::after(known, row, &told);
        plan.known.insert(key, after);
        for change in told {
            let message = Message::of(change, row, after.sequence, entry.created_at);
            plan.deliveries.extend(self.deliveries(entry.id, tenant_id, &message, unplanned.sends_mail, endpoints));
        }
    }

    fn deliveries<'a>(
        &'a self,
        entry_id: i64,
        tenant_id: TenantId,
        message: &'a Message,
        sends_mail: bool,
        endpoints: &'a [Endpoint],
    ) -> impl Iterator<Item = NewDelivery> + 'a {
        let mailed = sends_mail && is_mailed(message.change) && message.slot.start > self.now;
        let mail = mailed.then_some((Handler::Email, tenant_id.0));
        let wanted = |endpoint: &&Endpoint| {
            let types = &endpoint.event_types;
            types.is_empty() || types.iter().any(|wanted| wanted == message.change.as_str())
        };
        let calls = endpoints.iter().filter(wanted).map(|endpoint| (Handler::Webhook, endpoint.id));
        mail.into_iter().chain(calls).map(move |(handler, target_id)| NewDelivery {
            id: self.ids.uuid(),
            entry_id,
            tenant_id,
            handler,
            target_id,
            message: message.clone(),
        })
    }
}

pub fn is_mailed(change: BookingChange) -> bool {
    match change {
        BookingChange::Scheduled | BookingChange::Rescheduled | BookingChange::Cancelled => true,
        BookingChange::Confirmed | BookingChange::CheckedIn | BookingChange::Completed | BookingChange::NoShow => false,
    }
}

fn readable(entry: &Entry) -> Option<BookingRow> {
    match entry.booking()? {
        Ok(row) => Some(row),
        Err(error) => {
            tracing::warn!(entry = entry.id, %error, "an entry of the outbox can't be read; nothing is sent for it");
            None
        }
    }
}

/// For each entry the place of the one that follows it for the same booking in the same transaction.
fn next_of_same_transaction(entries: &[Entry], rows: &[Option<BookingRow>]) -> Vec<Option<usize>> {
    let mut following: HashMap<(Option<TenantId>, BookingId, Timestamp), usize> = HashMap::new();
    let mut next = vec![None; entries.len()];
    for (at, (entry, row)) in entries.iter().zip(rows).enumerate().rev() {
        if let Some(row) = row {
            next[at] = following.insert((entry.tenant_id, row.id, entry.created_at), at);
        }
    }
    next
}
