//! Passivation: aggregates that nobody has asked for a while are snapshotted and let go; above the ceiling, the longest
//! idle ones first.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{RuntimeSettings, Shared};

const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Ends with the runtime.
pub(super) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        // A crowd doesn't wait for the next second.
        let _ = tokio::time::timeout(SWEEP_EVERY, strong.crowded.notified()).await;
        if let Some(cutoff) = strong.cutoff() {
            for router in strong.routers.each() {
                router.passivate(cutoff);
            }
        }
    }
}

impl Shared {
    /// Actors last used at this millisecond of the runtime's clock or before are let go.
    fn cutoff(&self) -> Option<u64> {
        let RuntimeSettings { passivate_after, active_max, .. } = self.settings;
        let idle = u64::try_from(passivate_after.as_millis()).unwrap_or(u64::MAX);
        let by_age = self.elapsed_ms().checked_sub(idle);
        if self.active.load(Ordering::Relaxed) <= active_max {
            return by_age;
        }
        let mut ages = Vec::new();
        self.routers.each().iter().for_each(|router| router.ages(&mut ages));
        // A twentieth more than there must be, so that not every newcomer is worth a sweep of its own. Those that were
        // let go of and haven't ended yet are active, but have no age any more.
        let surplus = ages.len().saturating_sub(active_max - active_max / 20);
        let Some(last) = surplus.checked_sub(1) else { return by_age };
        let (_, crowd, _) = ages.select_nth_unstable(last);
        Some(by_age.unwrap_or(0).max(*crowd))
    }
}
