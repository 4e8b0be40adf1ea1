//! Who asked, and what travels with an event besides its payload.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::ids::{CommandId, CustomerId, EventId, NodeId, StreamId, UserId, Version};
use crate::ports::FeedPlace;
use crate::time::Timestamp;

/// The roles of a token; what each may do stands in the route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Manager,
    Staff,
    /// Books, sees and changes the own bookings only.
    Customer,
    /// A front-end's server, acting for customers.
    Service,
    /// The platform's, for migration across tenants.
    Operator,
}

impl Role {
    pub const ALL: [Role; 6] = [Role::Owner, Role::Manager, Role::Staff, Role::Customer, Role::Service, Role::Operator];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Manager => "manager",
            Role::Staff => "staff",
            Role::Customer => "customer",
            Role::Service => "service",
            Role::Operator => "operator",
        }
    }

    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    pub user_id: UserId,
    pub role: Role,
}

impl Caller {
    /// The only customer whose data this caller may touch; `None` for callers who serve all customers.
    pub fn own_customer(&self) -> Option<CustomerId> {
        match self.role {
            Role::Customer => Some(CustomerId(self.user_id.0)),
            Role::Owner | Role::Manager | Role::Staff | Role::Service | Role::Operator => None,
        }
    }
}

/// Where an event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An aggregate decided it.
    Actor,
    /// A change of a row, turned into an event.
    Capture,
    /// A row without full history, brought in as it stood.
    Import,
}

/// The column `metadata`: the same for all events of one append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    pub origin: Origin,
    pub command_id: CommandId,
    /// The process that wrote it: a node need not reload what it wrote itself.
    pub node_id: NodeId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserId>,
    /// What kind of client, such as `rest` or `cli`.
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// W3C trace context of the request, so that a trace goes on in projections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    pub event_id: EventId,
    pub stream: StreamId,
    pub version: Version,
    pub place: FeedPlace,
    pub occurred_at: Timestamp,
    /// Who wrote it; `None` for events that no server of ours decided.
    pub node_id: Option<NodeId>,
    pub traceparent: Option<String>,
    pub event: Result<Event, UnreadableEvent>,
}

/// An event that this build can't read: it stops whoever needs it, and only them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event_type} (schema version {schema_version}): {reason}")]
pub struct UnreadableEvent {
    pub event_type: String,
    pub schema_version: u16,
    pub reason: String,
}
