//! Passivation: aggregates that nobody has asked for a while are snapshotted and let go; above the ceiling, the longest
//! idle ones first.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Shared;

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
    /// Actors last used at this second or before are let go.
    fn cutoff(&self) -> Option<u32> {
        let idle = u32::try_from(self.settings.passivate_after.as_secs()).unwrap_or(u32::MAX);
        let by_age = self.seconds().checked_sub(idle);
        let surplus = self.active.load(Ordering::Relaxed).saturating_sub(self.settings.active_max);
        if surplus == 0 {
            return by_age;
        }
        let mut ages = Vec::new();
        self.routers.each().iter().for_each(|router| router.ages(&mut ages));
        let nth = surplus.min(ages.len()).checked_sub(1)?;
        let (_, crowd, _) = ages.select_nth_unstable(nth);
        Some(by_age.unwrap_or(0).max(*crowd))
    }
}
