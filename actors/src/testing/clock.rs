use std::sync::atomic::{AtomicI64, Ordering};

use crate::ports::Clock;
use crate::time::Timestamp;

/// Stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(now: Timestamp) -> ManualClock {
        ManualClock(AtomicI64::new(now.as_millis()))
    }

    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    pub fn advance_minutes(&self, minutes: i64) {
        self.0.fetch_add(minutes * crate::time::MINUTE_MS, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::time;

    #[test]
    fn time_moves_only_when_told() {
        let clock = ManualClock::at(time("2027-03-01T08:00:00Z"));
        assert_eq!(clock.now(), clock.now());
        clock.advance_minutes(90);
        assert_eq!(clock.now(), time("2027-03-01T09:30:00Z"));
        clock.set(time("2027-03-01T07:00:00Z"));
        assert_eq!(clock.now(), time("2027-03-01T07:00:00Z"));
    }
}
