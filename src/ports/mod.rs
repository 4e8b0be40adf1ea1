//! What the door knows of the house: commands and queries, each with one implementation per mode. Handlers never see
//! which one answers.

mod authenticator;
mod commands;
mod customers;
mod queries;
mod readiness;
mod reference;
mod webhooks;

pub use authenticator::{Authenticator, Identity, InvalidToken};
pub use commands::{
    Answered, CommandError, CommandRequest, Commands, IdempotencyKey, Note, Personal, Render, Rendering, RequestMeta,
};
pub use customers::{Customers, CustomersError};
pub use queries::{
    AvailabilityQuery, BookingFilter, BookingOrder, BookingView, LoyaltyEntry, LoyaltyView, Page, Queries, QueryError,
    Scope, SlotOffer, UtilisationDay,
};
pub use readiness::Readiness;
pub use reference::{
    HoursException, Invited, NewMember, NewService, NewStaff, NewTimeOff, Precondition, Reference, ReferenceError,
    ServiceChange, StaffChange, TimeOffEntry, WorkingHours,
};
pub use webhooks::{NewWebhook, WebhookChange, WebhookDeliveryView, WebhookView, Webhooks};
