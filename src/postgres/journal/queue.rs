//! What waits for one lane: a queue per tenant, served in turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use codeccloud_actors::ids::TenantId;
use tokio::sync::Notify;

pub(super) struct Queue<T> {
    waiting_max: usize,
    waiting: Mutex<Waiting<T>>,
    filled: Notify,
}

struct Waiting<T> {
    tenants: HashMap<TenantId, VecDeque<T>>,
    /// The tenants with a queue; the first one's turn is next.
    turns: VecDeque<TenantId>,
    count: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub fn new(waiting_max: usize) -> Queue<T> {
        let waiting = Waiting { tenants: HashMap::new(), turns: VecDeque::new(), count: 0, closed: false };
        Queue { waiting_max, waiting: Mutex::new(waiting), filled: Notify::new() }
    }

    /// Gives `item` back when there is no room for it. A tenant may have as many as there are free places: one alone gets
    /// half of all, and its burst leaves the other half to whoever comes next.
    pub fn push(&self, tenant_id: TenantId, item: T) -> Result<(), T> {
        let mut waiting = self.lock();
        let free = self.waiting_max - waiting.count;
        let queued = waiting.tenants.get(&tenant_id).map_or(0, VecDeque::len);
        if waiting.closed || queued >= free {
            return Err(item);
        }
        if queued == 0 {
            waiting.turns.push_back(tenant_id);
        }
        waiting.tenants.entry(tenant_id).or_default().push_back(item);
        waiting.count += 1;
        let is_first = waiting.count == 1;
        drop(waiting);
        if is_first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits until there is something to take; `false` when there never will be.
    pub async fn filled(&self) -> bool {
        loop {
            {
                let waiting = self.lock();
                if waiting.count > 0 || waiting.closed {
                    return waiting.count > 0;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Fills `batch` up to `batch_max` with one item of each tenant in turn, so that a tenant with many holds up nobody
    /// with few. Returns how many are left.
    pub fn take(&self, batch: &mut Vec<T>, batch_max: usize) -> usize {
        let mut waiting = self.lock();
        while batch.len() < batch_max {
            let Some(tenant_id) = waiting.turns.pop_front() else { break };
            let queue = waiting.tenants.get_mut(&tenant_id).expect("whoever has a turn has a queue");
            batch.extend(queue.pop_front());
            if queue.is_empty() {
                waiting.tenants.remove(&tenant_id);
            } else {
                waiting.turns.push_back(tenant_id);
            }
            waiting.count -= 1;
        }
        waiting.count
    }

    /// Takes nothing more; what waits can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    #[test]
    fn a_burst_of_one_tenant_leaves_room_for_the_others() {
        let queue = Queue::new(12);
        let burst = |number| (0..20).filter(|n| queue.push(tenant(number), *n).is_ok()).count();
        assert_eq!([burst(1), burst(2), burst(3), burst(4)], [6, 3, 2, 1]);
        queue.take(&mut Vec::new(), 6);
        assert!(burst(5) > 1, "there is room again");
    }

    #[test]
    fn tenants_are_served_in_turn_and_each_in_its_order() {
        let queue = Queue::new(100);
        for n in 0..6 {
            queue.push(tenant(1), (1, n)).unwrap();
        }
        for n in 0..2 {
            queue.push(tenant(2), (2, n)).unwrap();
        }
        let mut batch = vec![(0, 0)];
        assert_eq!(queue.take(&mut batch, 5), 4);
        assert_eq!(batch, [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1)]);
        queue.push(tenant(2), (2, 2)).unwrap();
        batch.clear();
        assert_eq!(queue.take(&mut batch, 100), 0);
        assert_eq!(batch, [(1, 2), (2, 2), (1, 3), (1, 4), (1, 5)]);
    }

    #[tokio::test]
    async fn what_waits_when_it_is_closed_is_still_taken() {
        let queue = Queue::new(4);
        let filling = async {
            tokio::task::yield_now().await;
            queue.push(tenant(1), 7).unwrap();
            queue.close();
        };
        let (filled, ()) = tokio::join!(queue.filled(), filling);
        assert!(filled && queue.push(tenant(1), 8).is_err());
        let mut batch = Vec::new();
        queue.take(&mut batch, 10);
        assert_eq!((batch, queue.filled().await), (vec![7], false));
    }
}
