//! What keeps a fault where it is: panics are contained, and an aggregate that can't be loaded is left alone for a while.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::RuntimeSettings;

/// Runs what aggregates and callers supply: their panic ends one command, not the thread that many share. What `work`
/// was changing when it panicked must not be used any more. `None` is a panic.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Doubles with each failure, between the configured bounds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    pub fn failed(&mut self, settings: &RuntimeSettings) {
        let pause = settings
            .restart_backoff_min
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(settings.restart_backoff_max);
        self.failures = (self.failures + 1).min(16);
        self.until = Some(Instant::now() + pause);
    }

    /// `None` when it is time for the next try.
    pub fn remaining(&self) -> Option<Duration> {
        self.until?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}
