//! Errors of the layers below, and what the client is told of them.

use actix_web::http::StatusCode;
use codeccloud_actors::refusal::Refusal;
use codeccloud_actors::sagas::booking::BookingRefusal;

use super::{Problem, Slug};
use crate::http::validate::FieldError;
use crate::ports::{CommandError, CustomersError, QueryError, ReferenceError};

/// When nothing says how long an outage will last.
const RETRY_AFTER_SECONDS: u32 = 1;

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Problem {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Staff(_) | Refusal::Loyalty(_) | Refusal::Stock(_) => Problem::new(Slug::Conflict, detail),
            Refusal::Booking(refusal) => Problem::new(slug_of(refusal), detail),
            Refusal::VersionMismatch { .. } => Problem::new(Slug::PreconditionFailed, detail),
            Refusal::NotFound(_) => Problem::new(Slug::NotFound, detail),
            Refusal::Invalid { field, message } => Problem::invalid(vec![FieldError::new(*field, message)]),
        }
    }
}

fn slug_of(refusal: &BookingRefusal) -> Slug {
    match refusal {
        BookingRefusal::IllegalTransition { .. } | BookingRefusal::AlreadyExists => Slug::Conflict,
        BookingRefusal::NotOwnCustomer => Slug::Forbidden,
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        match error {
            CommandError::IdempotencyConflict => Problem::new(Slug::IdempotencyConflict, error.to_string()),
            CommandError::Unavailable { reason, retry_after_seconds } => {
                unavailable(&reason, retry_after_seconds.max(1))
            }
            CommandError::ChangedElsewhere => Problem::new(Slug::Conflict, error.to_string()),
            CommandError::Forbidden => Problem::new(Slug::Forbidden, error.to_string()),
            CommandError::Timeout => unavailable("the deadline passed", RETRY_AFTER_SECONDS),
            CommandError::Internal(cause) => Problem::internal(&cause),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        match error {
            QueryError::NotFound(_) => Problem::new(Slug::NotFound, error.to_string()),
            QueryError::TooManySlots { slots_max } => {
                let shorter = format!("must be nearer to `from`: these are more than {slots_max} slots");
                let coarser = format!("must be larger: these are more than {slots_max} slots");
                Problem::invalid(vec![FieldError::new("to", shorter), FieldError::new("granularityMinutes", coarser)])
            }
            QueryError::Behind(reason) | QueryError::Unavailable(reason) => unavailable(&reason, RETRY_AFTER_SECONDS),
        }
    }
}

impl From<ReferenceError> for Problem {
    fn from(error: ReferenceError) -> Problem {
        let detail = error.to_string();
        match error {
            ReferenceError::NotFound(_) => Problem::new(Slug::NotFound, detail),
            ReferenceError::Conflict(_) => Problem::new(Slug::Conflict, detail),
            ReferenceError::Invalid { field, message } => Problem::invalid(vec![FieldError::new(field, message)]),
            ReferenceError::Outdated => Problem::new(Slug::PreconditionFailed, detail),
            ReferenceError::IdempotencyConflict => Problem::new(Slug::IdempotencyConflict, detail),
            ReferenceError::Forbidden => Problem::new(Slug::Forbidden, detail),
            ReferenceError::Unavailable(reason) => unavailable(&reason, RETRY_AFTER_SECONDS),
        }
    }
}

impl From<CustomersError> for Problem {
    fn from(error: CustomersError) -> Problem {
        match error {
            CustomersError::NotFound => Problem::new(Slug::NotFound, error.to_string()),
            CustomersError::Outdated => Problem::new(Slug::PreconditionFailed, error.to_string()),
            CustomersError::Unavailable(reason) => unavailable(&reason, RETRY_AFTER_SECONDS),
        }
    }
}

/// What the framework refuses by itself, before any code of ours has seen the request.
impl From<&actix_web::Error> for Problem {
    fn from(error: &actix_web::Error) -> Problem {
        if let Some(problem) = error.as_error::<Problem>() {
            return problem.clone();
        }
        match error.as_response_error().status_code() {
            // A path that can't be an id names nothing that there is.
            StatusCode::NOT_FOUND => Problem::not_found("the resource"),
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Slug::PayloadTooLarge, "the body is too large"),
            status if status.is_client_error() => Problem::new(Slug::BadRequest, "the request can't be read"),
            _ => Problem::internal(error),
        }
    }
}

/// Reasons name hosts and tables: they are for the log, not for the client.
fn unavailable(reason: &str, retry_after_seconds: u32) -> Problem {
    tracing::warn!(reason, "a request could not be served");
    Problem::unavailable("the service can't answer at the moment; try again later", retry_after_seconds)
}
