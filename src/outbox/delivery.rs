//! Deliveries: something to be sent to one target, under an id that stays the same however often it is tried.

use std::time::Duration;

use codeccloud_actors::ids::{BookingId, CustomerId, ServiceId, StaffId, TenantId};
use codeccloud_actors::time::{Slot, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::entry::{BookingChange, BookingRow};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Handler {
    Email,
    Webhook,
}

impl Handler {
    pub const ALL: [Handler; 2] = [Handler::Email, Handler::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Handler::Email => "email",
            Handler::Webhook => "webhook",
        }
    }

    pub fn parse(text: &str) -> Option<Handler> {
        Handler::ALL.into_iter().find(|handler| handler.as_str() == text)
    }
}

/// What a delivery is made of, kept without personal data: whoever sends it looks the customer up then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub change: BookingChange,
    pub booking_id: BookingId,
    pub customer_id: Option<CustomerId>,
    pub staff_id: StaffId,
    pub service_id: Option<ServiceId>,
    pub slot: Slot,
    pub sequence: i32,
    pub changed_at: Timestamp,
}

impl Message {
    pub fn of(change: BookingChange, row: &BookingRow, sequence: i32, changed_at: Timestamp) -> Message {
        Message {
            change,
            booking_id: row.id,
            customer_id: row.customer_id,
            staff_id: row.staff_id,
            service_id: row.service_id,
            slot: row.slot,
            sequence,
            changed_at,
        }
    }
}

#[derive(Debug, Clone)]
pub struct NewDelivery {
    pub id: Uuid,
    pub entry_id: i64,
    pub tenant_id: TenantId,
    pub handler: Handler,
    /// An endpoint of webhooks; for e-mail the tenant.
    pub target_id: Uuid,
    pub message: Message,
}

/// A delivery that this process may try until its lease ends.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: Uuid,
    pub entry_id: i64,
    pub tenant_id: TenantId,
    pub handler: Handler,
    pub target_id: Uuid,
    pub message: Message,
    /// Counted from 1, with attempts whose end nobody has seen.
    pub attempt: u32,
    pub lease_id: Uuid,
}

/// What became of an attempt. A reason is in our own words: what servers answer may quote addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done {
        status: Option<u16>,
    },
    /// There is nobody to tell, or nothing to tell any more.
    Skipped {
        reason: &'static str,
    },
    /// May go well later, no sooner than after `wait` where the receiver asks for it.
    Failed {
        reason: String,
        status: Option<u16>,
        wait: Option<Duration>,
    },
    /// Nobody was asked, since we ourselves could not: it says nothing of the receiver, and costs no attempt.
    NotTried {
        reason: &'static str,
    },
    /// Will never go well.
    Refused {
        reason: String,
        status: Option<u16>,
    },
}

/// How an attempt is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    Done,
    Skipped,
    Retry {
        wait: Duration,
    },
    /// The attempt is given back.
    NotTried {
        wait: Duration,
    },
    Dead,
}
