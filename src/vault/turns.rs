use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::CustomerRef;

/// Lets concurrent first bookings of one customer agree on one data key, and concurrent changes follow one another: they go
/// one after the other.
pub struct Turns {
    /// Whoever waits longer goes ahead, and the journal's revision check decides.
    wait_max: Duration,
    queues: Mutex<HashMap<CustomerRef, Arc<tokio::sync::Mutex<()>>>>,
}

/// Ends when dropped.
pub struct Turn {
    turns: Arc<Turns>,
    customer: CustomerRef,
    queue: Arc<tokio::sync::Mutex<()>>,
    /// `None` while waiting, and for one that waited too long.
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    pub fn new(wait_max: Duration) -> Turns {
        Turns { wait_max, queues: Mutex::default() }
    }

    pub async fn take(self: &Arc<Self>, customer: CustomerRef) -> Turn {
        let queue = self.queues.lock().expect("nothing panics under this lock").entry(customer).or_default().clone();
        // Made before the wait, so that a caller who goes away meanwhile leaves nothing behind.
        let mut turn = Turn { turns: self.clone(), customer, queue, held: None };
        turn.held = tokio::time::timeout(self.wait_max, turn.queue.clone().lock_owned()).await.ok();
        turn
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.queues.lock().expect("nothing panics under this lock").is_empty()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queues = self.turns.queues.lock().expect("nothing panics under this lock");
        self.held = None;
        let mine_and_the_maps = 2;
        if Arc::strong_count(&self.queue) == mine_and_the_maps {
            queues.remove(&self.customer);
        }
    }
}
