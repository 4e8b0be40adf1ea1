//! Requests with the same idempotency key at the same time: one is carried out, the others wait for its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use codeccloud_actors::ids::TenantId;
use tokio::sync::watch;

use crate::ports::{Answered, CommandError};

type Key = (TenantId, String);

#[derive(Default)]
pub(super) struct InFlight {
    running: Mutex<HashMap<Key, watch::Receiver<Option<Shared>>>>,
}

/// The leader's outcome, with the hash of the request that it was for.
#[derive(Clone)]
pub(super) struct Shared {
    pub request_hash: [u8; 32],
    pub outcome: Result<Answered, CommandError>,
}

pub(super) enum Place {
    Leader(Leader),
    /// `None` when the leader went away without an outcome: try again.
    Follower(Option<Shared>),
}

/// Whoever drops it unfinished, as a client does that disconnects, leaves the key to the next in line.
pub(super) struct Leader {
    in_flight: Arc<InFlight>,
    key: Key,
    result: watch::Sender<Option<Shared>>,
}

impl InFlight {
    /// Returns at once for the first of a key; the others wait, at most as long as the first one takes.
    pub async fn enter(self: &Arc<Self>, key: Key) -> Place {
        let mut receiver = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            match running.get(&key) {
                Some(receiver) => receiver.clone(),
                None => {
                    let (result, receiver) = watch::channel(None);
                    running.insert(key.clone(), receiver);
                    return Place::Leader(Leader { in_flight: Arc::clone(self), key, result });
                }
            }
        };
        let shared = receiver.wait_for(Option::is_some).await.ok().and_then(|shared| shared.clone());
        Place::Follower(shared)
    }
}

impl Leader {
    pub fn finish(self, shared: Shared) {
        self.result.send_replace(Some(shared));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.in_flight.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
