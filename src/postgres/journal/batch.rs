//! What goes into one transaction: appends merged into columns, and which append is to blame when one is refused.

use std::collections::{HashMap, HashSet};

use codeccloud_actors::ids::{CustomerId, StreamId, TenantId};
use codeccloud_actors::ports::{Append, Head, SealedRow, StreamAppend};

/// Indexes of appends in the queue that the batch was made from.
pub(super) struct Batch {
    /// Those that go into the transaction, in order.
    pub taken: Vec<usize>,
    /// Those whose stream stands elsewhere already within the batch.
    pub conflicting: Vec<usize>,
    /// Those that need the outcome of an earlier one: an idempotency key or a customer comes twice.
    pub deferred: Vec<usize>,
    pub streams: Vec<StreamMove>,
    pub checks: Vec<(StreamId, Head)>,
}

/// All of a batch's events of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamMove {
    pub stream: StreamId,
    pub expected: Head,
    pub head: Head,
}

impl Batch {
    pub fn of(appends: &[&Append]) -> Batch {
        let mut batch = Batch {
            taken: Vec::with_capacity(appends.len()),
            conflicting: Vec::new(),
            deferred: Vec::new(),
            streams: Vec::new(),
            checks: Vec::new(),
        };
        let mut seen = Seen::default();
        for (index, append) in appends.iter().enumerate() {
            if seen.repeats(append) {
                seen.deferred.insert(append.tenant_id);
                batch.deferred.push(index);
            } else if !seen.follows(append) {
                batch.conflicting.push(index);
            } else {
                seen.take(append);
                batch.taken.push(index);
            }
        }
        for (stream, span) in seen.spans {
            if span.expected == span.head {
                batch.checks.push((stream, span.expected));
            } else {
                batch.streams.push(StreamMove { stream, expected: span.expected, head: span.head });
            }
        }
        // One order for all nodes. The function sorts too; here it is for the numbers in its complaints.
        batch.streams.sort_unstable_by_key(|moved| moved.stream);
        batch.checks.sort_unstable_by_key(|check| check.0);
        batch
    }

    /// The streams that the append function complained about, by its numbers.
    pub fn numbered(&self, numbers: &str) -> HashSet<StreamId> {
        let all: Vec<StreamId> =
            self.streams.iter().map(|moved| moved.stream).chain(self.checks.iter().map(|check| check.0)).collect();
        parse_numbers(numbers).filter_map(|number| all.get(number).copied()).collect()
    }
}

/// One-based numbers, as zero-based.
pub(super) fn parse_numbers(numbers: &str) -> impl Iterator<Item = usize> + '_ {
    numbers.split(',').filter_map(|number| number.trim().parse::<usize>().ok()?.checked_sub(1))
}

/// Which appends fail with the streams that are elsewhere: those that touch one, and those that build on these.
pub(super) fn blamed(appends: &[&Append], mut bad: HashSet<StreamId>, guilty: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut blamed = Vec::new();
    for (index, append) in appends.iter().enumerate() {
        if guilty(index) || append.streams.iter().any(|part| bad.contains(&part.stream)) {
            blamed.push(index);
            bad.extend(append.streams.iter().filter(|part| !part.events.is_empty()).map(|part| part.stream));
        }
    }
    blamed
}

#[derive(Clone, Copy)]
struct Span {
    expected: Head,
    head: Head,
}

#[derive(Default)]
struct Seen<'a> {
    spans: HashMap<StreamId, Span>,
    keys: HashSet<(TenantId, &'a str)>,
    customers: HashSet<(TenantId, CustomerId)>,
    /// What comes behind a deferred append of its tenant may build on it.
    deferred: HashSet<TenantId>,
}

impl<'a> Seen<'a> {
    fn repeats(&self, append: &'a Append) -> bool {
        self.deferred.contains(&append.tenant_id)
            || append.idempotency.as_ref().is_some_and(|record| self.keys.contains(&(append.tenant_id, &record.key)))
            || customers(append).any(|customer| self.customers.contains(&customer))
    }

    fn follows(&self, append: &Append) -> bool {
        let at = |part: &StreamAppend| self.spans.get(&part.stream).map_or(part.expected, |span| span.head);
        append.streams.iter().all(|part| at(part) == part.expected)
    }

    fn take(&mut self, append: &'a Append) {
        for part in &append.streams {
            let at = Span { expected: part.expected, head: part.expected };
            self.spans.entry(part.stream).or_insert(at).head = part.head();
        }
        self.keys.extend(append.idempotency.as_ref().map(|record| (append.tenant_id, record.key.as_str())));
        self.customers.extend(customers(append));
    }
}

fn customers(append: &Append) -> impl Iterator<Item = (TenantId, CustomerId)> + '_ {
    append.sealed.iter().filter_map(|row| match row {
        SealedRow::Customer(customer) => Some((append.tenant_id, customer.customer_id)),
        SealedRow::Note(_) => None,
    })
}
