use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use codeccloud_actors::answer::{Answer, Verdict};
use codeccloud_actors::command::Command;
use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::{BookingId, CustomerId, TenantId, Version};
use futures_util::future::BoxFuture;

use crate::vault::{CustomerProfile, NoteKind};

pub trait Commands: Send + Sync + 'static {
    /// Decides and commits, or replays the answer that the same key got before.
    ///
    /// An `Ok` is durable. After an `Err` nothing is known to have happened; the same key may be tried again and never
    /// books twice.
    fn execute(&self, request: CommandRequest) -> BoxFuture<'_, Result<Answered, CommandError>>;
}

pub struct CommandRequest {
    pub tenant_id: TenantId,
    pub caller: Caller,
    pub command: Command,
    /// From `If-Match`.
    pub precondition: Option<Version>,
    pub idempotency: Option<IdempotencyKey>,
    pub personal: Personal,
    pub meta: RequestMeta,
    pub deadline: Instant,
    pub render: Render,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub key: String,
    /// Of user, method, path and body.
    pub request_hash: [u8; 32],
}

/// Personal data that comes with a command and goes to the vault in the same transaction.
#[derive(Default)]
pub struct Personal {
    pub customer: Option<(CustomerId, CustomerProfile)>,
    pub note: Option<Note>,
}

/// Free text about a booking. A later one of the same kind takes its place.
pub struct Note {
    pub booking_id: BookingId,
    pub kind: NoteKind,
    pub text: String,
}

#[derive(Debug, Clone)]
pub struct RequestMeta {
    pub request_id: String,
    pub source: &'static str,
    pub ip: Option<IpAddr>,
    pub traceparent: Option<String>,
}

/// What an answer is made of: the verdict, and the personal data that belongs into it.
pub struct Rendering<'a> {
    pub verdict: &'a Verdict<'a>,
    pub tenant_id: TenantId,
    pub customer_id: Option<CustomerId>,
    pub customer: Option<&'a CustomerProfile>,
    pub cancellation_reason: Option<&'a str>,
}

/// Turns a verdict into the answer; pure, because it is called within the actor.
pub type Render = Arc<dyn Fn(&Rendering<'_>) -> Answer + Send + Sync>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub answer: Answer,
    pub replayed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("the idempotency key was used for another request")]
    IdempotencyConflict,
    /// Too much at once, or the database is away. `retry_after_seconds` is for the header.
    #[error("{reason}")]
    Unavailable { reason: String, retry_after_seconds: u32 },
    #[error("the deadline passed")]
    Timeout,
    #[error("the caller may not do this")]
    Forbidden,
    #[error("other software has changed it: look at it again")]
    ChangedElsewhere,
    #[error("{0}")]
    Internal(String),
}
