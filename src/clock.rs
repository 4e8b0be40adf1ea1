//! The one place that asks the machine for the time and for randomness.

use codeccloud_actors::ports::{Clock, Ids};
use codeccloud_actors::time::Timestamp;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is what everything else is injected with")]
    fn now(&self) -> Timestamp {
        Timestamp::from_jiff(jiff::Timestamp::now())
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[allow(clippy::disallowed_methods, reason = "this is what everything else is injected with")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}
