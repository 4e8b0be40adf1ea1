//! How a caller is told of its limit.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::problem::{Problem, Slug};
use crate::ports::Quota;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

impl Quota {
    pub fn write_to(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.reset_seconds));
    }

    pub fn check(self) -> Result<(), Problem> {
        if !self.exceeded {
            return Ok(());
        }
        let detail = format!("more than {} requests a minute; try again in {} s", self.limit, self.reset_seconds);
        Err(Problem::new(Slug::RateLimited, detail).with_header(header::RETRY_AFTER, self.reset_seconds.into()))
    }
}
