use std::sync::atomic::{AtomicU64, Ordering};

use codeccloud_actors::metrics_catalogue as names;

/// Whether Redis is in use. It counts the turns, so that what comes too late to say something about the turn that it began
/// in says nothing about the one that is on.
pub(super) struct Link {
    turn: AtomicU64,
}

/// Away when even, up when odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

/// From one loss to the next: what was connected in an earlier one is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Era(u64);

impl Default for Link {
    fn default() -> Link {
        metrics::gauge!(names::REDIS_IN_USE.name).set(0.0);
        Link { turn: AtomicU64::new(0) }
    }
}

impl Link {
    pub fn now(&self) -> Turn {
        Turn(self.turn.load(Ordering::Acquire))
    }

    /// `false` when that was known.
    pub fn lost(&self, turn: Turn) -> bool {
        let lost = turn.is_up() && self.follows(turn);
        if lost {
            metrics::gauge!(names::REDIS_IN_USE.name).set(0.0);
            metrics::counter!(names::REDIS_LOSSES.name).increment(1);
        }
        lost
    }

    /// `false` when that was known.
    pub fn found(&self, turn: Turn) -> bool {
        let found = !turn.is_up() && self.follows(turn);
        if found {
            metrics::gauge!(names::REDIS_IN_USE.name).set(1.0);
        }
        found
    }

    fn follows(&self, turn: Turn) -> bool {
        self.turn.compare_exchange(turn.0, turn.0 + 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Turn {
    pub fn is_up(self) -> bool {
        self.0 % 2 == 1
    }

    pub fn era(self) -> Era {
        Era(self.0 / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_ended_once_and_by_nothing_that_began_before_it() {
        let link = Link::default();
        let away = link.now();
        assert!(!away.is_up() && !link.lost(away), "it was away from the start");
        assert!(link.found(away) && !link.found(away));
        let up = link.now();
        assert_eq!((up.is_up(), up.era()), (true, away.era()));
        assert!(link.lost(up) && !link.lost(up), "many wait in vain, and one of them says so");
        assert!(link.found(link.now()));
        assert!(!link.lost(up), "that was another turn");
        assert!(link.now().is_up() && link.now().era() != up.era());
    }
}
