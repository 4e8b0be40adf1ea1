//! How far a projection's reads may be behind, also while nothing comes in that would tell.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics_catalogue as names;
use crate::time::Timestamp;

/// The feed is heard of several times a second, if only that there is nothing new. A silence beyond this is no pause
/// between two polls any more: what was written meanwhile is not applied.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Whoever is silent for this long doesn't come back by itself within a request's patience.
const FROZEN_AFTER: Duration = Duration::from_secs(15);

/// What a projection knew when it last applied a page.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// When the page was read.
    at: Instant,
    waiting_since: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Freshness(Mutex<Heard>);

impl Default for Freshness {
    fn default() -> Freshness {
        Freshness(Mutex::new(Heard { at: Instant::now(), waiting_since: None }))
    }
}

impl Freshness {
    /// A page read at `at` was applied. `waiting_since` is when the oldest event beyond it was recorded, if there is one.
    pub fn applied(&self, at: Instant, waiting_since: Option<Timestamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Heard { at, waiting_since };
    }

    /// Age of the oldest event that is not applied. Of what was written in a long silence nobody knows, so it counts as
    /// old as the silence.
    pub fn unapplied_age(&self, now: Timestamp, at: Instant) -> Duration {
        let heard = self.heard();
        let silence = at.saturating_duration_since(heard.at);
        let waiting = heard.waiting_since.map(|since| now.as_millis() - since.as_millis());
        let waiting = Duration::from_millis(waiting.map_or(0, |age| u64::try_from(age).unwrap_or(0)));
        if silence > SILENCE_MAX { waiting.max(silence) } else { waiting }
    }

    /// Whether reads stand still, since the projection or what feeds it is gone.
    pub fn is_frozen(&self, at: Instant) -> bool {
        at.saturating_duration_since(self.heard().at) > FROZEN_AFTER
    }

    fn heard(&self) -> Heard {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// On a clock of its own: a projection that stands still doesn't say so itself.
pub(super) fn show(projection: &'static str, unapplied_age: Duration) {
    metrics::gauge!(names::PROJECTION_UNAPPLIED_AGE.name, "projection" => projection).set(unapplied_age.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn an_event_that_is_held_back_ages_by_the_clock() {
        let freshness = Freshness::default();
        freshness.applied(Instant::now(), Some(NOW.plus_millis(-1_500)));
        assert_eq!(freshness.unapplied_age(NOW, Instant::now()).as_millis(), 1_500);
        assert_eq!(freshness.unapplied_age(NOW.plus_millis(2_000), after(2)).as_millis(), 3_500);
        freshness.applied(Instant::now(), None);
        assert_eq!(freshness.unapplied_age(NOW, Instant::now()), Duration::ZERO);
    }

    #[test]
    fn a_silence_counts_once_it_is_longer_than_a_pause() {
        let freshness = Freshness::default();
        assert_eq!(freshness.unapplied_age(NOW, after(4)), Duration::ZERO);
        assert!(freshness.unapplied_age(NOW, after(9)) >= Duration::from_secs(8));
        assert!(!freshness.is_frozen(after(9)));
        assert!(freshness.is_frozen(after(17)));
    }
}
