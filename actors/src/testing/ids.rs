use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::ports::Ids;

/// The same ids for the same seed, other ids for another. They ascend and are UUIDs of version 7, as real ones are.
#[derive(Debug)]
pub struct SeededIds {
    seed: u64,
    count: AtomicU64,
}

/// 2027-01-01, in milliseconds since 1970: ids look as if made from then on, one a millisecond.
const FIRST_MILLIS: u64 = 1_798_761_600_000;

impl SeededIds {
    pub fn new(seed: u64) -> SeededIds {
        SeededIds { seed, count: AtomicU64::new(0) }
    }
}

impl Ids for SeededIds {
    fn uuid(&self) -> Uuid {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        let mut tail = [0; 10];
        tail[..8].copy_from_slice(&self.seed.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(FIRST_MILLIS + count, &tail).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_ids_and_they_ascend() {
        let take = |seed| {
            let ids = SeededIds::new(seed);
            (0..100).map(|_| ids.uuid()).collect::<Vec<_>>()
        };
        let ids = take(7);
        assert_eq!(ids, take(7));
        assert!(ids.is_sorted() && ids[0] != ids[1]);
        assert!(take(8).iter().all(|id| !ids.contains(id)));
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}
