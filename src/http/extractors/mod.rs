//! What handlers take: a [`Body`], a [`Query`]; each is checked before the handler is entered.

mod body;
mod depth;
mod query;

pub use body::{Body, EmptyBody};
pub use query::Query;

use serde::{Deserialize, Deserializer};
use serde_path_to_error::Path;

use super::validate::FieldError;

/// Says which field was not as it should be, from what serde says of it.
fn field_error(path: &Path, message: &str) -> FieldError {
    // serde puts the place where it stood behind it, which helps nobody who sends JSON by program.
    let message = message.split(" at line ").next().unwrap_or(message);
    let parent = path.to_string();
    match message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        Some(missing) if parent == "." => FieldError::new(missing, "is required"),
        Some(missing) => FieldError::new(format!("{parent}.{missing}"), "is required"),
        None => FieldError::new(parent, message),
    }
}

/// For fields of a change, where `null` says something else than absence: absent is `None`, `null` is `Some(None)`.
pub fn explicit_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(json: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(json).map(Some)
}
