//! What the door knows of the house: commands and queries, each with one implementation per mode. Handlers never see
//! which one answers.

mod answers;
mod audit;
mod authenticator;
mod commands;
mod customers;
mod queries;
mod rate_limiter;
mod readiness;
mod reference;
mod webhooks;

pub use audit::{Audit, AuditEntry};
mod sessions;

pub use answers::{ANSWER_BYTES_MAX, ANSWER_KEPT, Answers};
pub use authenticator::{Authenticator, Identity, InvalidToken};
pub use commands::{
    Answered, CommandError, CommandRequest, Commands, IdempotencyKey, Note, Personal, Render, Rendering, RequestMeta,
};
pub use customers::{Customers, CustomersError};
pub use queries::{
    AvailabilityQuery, BookingFilter, BookingOrder, BookingView, Dashboard, LoyaltyEntry, LoyaltyView, Page, Queries,
    QueryError, RevenueBy, RevenueOf, RevenueQuery, RevenueRow, SLOTS_MAX, Scope, SlotOffer, StockMovement, StockView,
    UtilisationDay,
};
pub use rate_limiter::{Quota, RATE_WINDOW, RateLimited, RateLimiter};
pub use readiness::Readiness;
pub use reference::{
    HoursException, Invited, NewMember, NewProduct, NewService, NewStaff, NewTimeOff, Precondition, ProductChange,
    Reference, ReferenceError, ServiceChange, StaffChange, TimeOffEntry, WorkingHours,
};
pub use sessions::{SESSION_KEPT, Sessions};
pub use webhooks::{NewWebhook, WebhookChange, WebhookDeliveryView, WebhookView, Webhooks};
