//! How many commands wait for the actors of one kind of aggregate.

use metrics::Gauge;

use crate::ids::AggregateType;
use crate::metrics_catalogue::MAILBOX_DEPTH;

/// The series is looked up once: doing so for each command would cost more than counting.
pub(super) struct Mailboxes(Gauge);

/// Goes with a command until its actor takes it, or until it is dropped on the way, with a mailbox or before it.
pub(super) struct Waiting(Gauge);

impl Mailboxes {
    pub fn of(aggregate_type: AggregateType) -> Mailboxes {
        Mailboxes(metrics::gauge!(MAILBOX_DEPTH.name, "aggregate_type" => aggregate_type.as_str()))
    }

    pub fn enter(&self) -> Waiting {
        self.0.increment(1.0);
        Waiting(self.0.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
