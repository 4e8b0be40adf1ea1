use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};

use codeccloud_actors::ids::{TenantId, UserId};
use codeccloud_actors::metrics_catalogue::SSE_SUBSCRIBERS;

/// More tabs than anyone looks at; each holds a connection.
const OF_ONE_USER_MAX: usize = 10;

type User = (TenantId, UserId);

/// Who has how many streams open.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<User, usize>>>);

/// Open until it is dropped.
pub struct OpenStream {
    streams: Streams,
    user: User,
}

impl Streams {
    /// `None` for a user who has enough of them.
    pub fn open(&self, tenant_id: TenantId, user_id: UserId) -> Option<OpenStream> {
        let user = (tenant_id, user_id);
        let mut open = self.counts();
        let count = open.entry(user).or_default();
        if *count == OF_ONE_USER_MAX {
            return None;
        }
        *count += 1;
        metrics::gauge!(SSE_SUBSCRIBERS.name).increment(1.0);
        Some(OpenStream { streams: self.clone(), user })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<User, usize>> {
        self.0.lock().expect("nothing panics under this lock")
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        metrics::gauge!(SSE_SUBSCRIBERS.name).decrement(1.0);
        if let Entry::Occupied(mut count) = self.streams.counts().entry(self.user) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
