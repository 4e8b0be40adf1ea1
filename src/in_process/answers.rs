use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::StoredAnswer;
use futures_util::future::{BoxFuture, ready};

use crate::generations::Generations;
use crate::ports::{ANSWER_BYTES_MAX, Answers};

/// A minute of 130 bookings a second, in some 10 MB; 64 MiB if all are as large as may be.
const ENTRIES_MAX: usize = 8_192;

pub struct LocalAnswers {
    kept: Duration,
    remembered: Mutex<Remembered>,
}

type Remembered = Generations<(TenantId, String), (Instant, StoredAnswer)>;

impl LocalAnswers {
    pub fn new(kept: Duration) -> LocalAnswers {
        LocalAnswers { kept, remembered: Mutex::new(Generations::new(ENTRIES_MAX)) }
    }

    pub fn find(&self, tenant_id: TenantId, key: &str, request_hash: [u8; 32]) -> Option<StoredAnswer> {
        let (at, answer) = self.lock().get(&(tenant_id, key.to_owned()))?;
        (at.elapsed() < self.kept && answer.request_hash == request_hash).then_some(answer)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers for LocalAnswers {
    fn recall<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
        request_hash: [u8; 32],
    ) -> BoxFuture<'a, Option<StoredAnswer>> {
        Box::pin(ready(self.find(tenant_id, key, request_hash)))
    }

    fn remember(&self, tenant_id: TenantId, key: &str, answer: StoredAnswer) {
        if answer.answer.len() <= ANSWER_BYTES_MAX {
            let dropped = self.lock().insert((tenant_id, key.to_owned()), (Instant::now(), answer));
            drop(dropped);
        }
    }
}
