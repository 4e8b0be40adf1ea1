//! What the door knows of the house: commands and queries, each with one implementation per mode. Handlers never see
//! which one answers.

mod commands;
mod queries;
mod reference;

pub use commands::{Answered, CommandError, CommandRequest, Commands, IdempotencyKey, Personal, Render, Rendering, RequestMeta};
pub use queries::{
    AvailabilityQuery, BookingFilter, BookingOrder, BookingView, LoyaltyEntry, LoyaltyView, Page, Queries, QueryError, Scope,
    SlotOffer, UtilisationDay,
};
pub use reference::{
    HoursException, NewMember, NewService, NewStaff, NewTimeOff, Reference, ReferenceError, ServiceChange, StaffChange,
    TimeOffEntry, WorkingHours,
};
