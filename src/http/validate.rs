//! Checks of what a client sends, as far as they need nothing but the request. All errors are collected, so that a form
//! can mark all its fields at once.

use std::fmt::Display;
use std::ops::RangeInclusive;

use codeccloud_actors::money::Money;
use codeccloud_actors::time::{Slot, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::problem::Problem;

/// What the columns of prices hold.
const AMOUNT_MAX: i64 = i32::MAX as i64;
/// RFC 5321: a path is 256 octets with its angle brackets.
const EMAIL_LENGTH_MAX: usize = 254;

pub trait Validate {
    fn validate(&self, errors: &mut FieldErrors);
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// Its path, such as `customer.email`.
    pub field: String,
    pub message: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> FieldError {
        FieldError { field: field.into(), message: message.into() }
    }
}

#[derive(Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    pub fn of(value: &impl Validate) -> Result<(), Problem> {
        let mut errors = FieldErrors::default();
        value.validate(&mut errors);
        errors.none()
    }

    pub fn none(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0)) }
    }

    pub fn require(&mut self, holds: bool, field: &str, message: impl Into<String>) {
        if !holds {
            self.0.push(FieldError::new(field, message));
        }
    }

    pub fn within<T: PartialOrd + Display>(&mut self, field: &str, value: T, range: RangeInclusive<T>) {
        let message = format!("must lie between {} and {}", range.start(), range.end());
        self.require(range.contains(&value), field, message);
    }

    pub fn name(&mut self, field: &str, text: &str, length_max: usize) {
        self.require(!text.trim().is_empty(), field, "must not be empty");
        self.length(field, text, length_max);
    }

    pub fn length(&mut self, field: &str, text: &str, length_max: usize) {
        let fits = text.chars().nth(length_max).is_none();
        self.require(fits, field, format!("must not be longer than {length_max} characters"));
    }

    /// Whether mail arrives there, only mail can tell; this finds what was typed into the wrong field.
    pub fn email(&mut self, field: &str, text: &str) {
        let plain = text.len() <= EMAIL_LENGTH_MAX && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let shaped = text.rsplit_once('@').is_some_and(|(local, domain)| {
            let labels = domain.split('.').all(|label| !label.is_empty());
            !local.is_empty() && !local.contains('@') && domain.contains('.') && labels
        });
        self.require(plain && shaped, field, "must be an e-mail address");
    }

    pub fn price(&mut self, field: &str, price: Money) {
        self.within(&format!("{field}.amount"), price.amount, 0..=AMOUNT_MAX);
    }

    /// Names the end, because that is what people get wrong.
    pub fn slot(&mut self, end_field: &str, start: Timestamp, end: Timestamp) {
        self.require(Slot::new(start, end).is_some(), end_field, "must lie after the start");
    }
}
