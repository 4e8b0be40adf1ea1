use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::pipe;
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::metrics_catalogue as names;
use codeccloud_actors::ports::StoredAnswer;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{CopyKey, Redis, millis};
use crate::in_process::LocalAnswers;
use crate::ports::{ANSWER_BYTES_MAX, Answers};

/// Copies that wait to be written, 8 MiB at most. Beyond, Redis is not keeping up, and a copy that is dropped costs the
/// database one look-up if ever there is a retry.
const QUEUE_MAX: usize = 1_024;

/// Copies that one trip takes along: 256 KiB at most, so that it takes no longer than a request's.
const BATCH_MAX: usize = 32;

type Copied = (TenantId, String, StoredAnswer);

/// This process remembers its own answers in any case, and looks there first.
pub struct RedisAnswers {
    redis: Arc<Redis>,
    copy_key: CopyKey,
    queue: mpsc::Sender<Copied>,
    here: LocalAnswers,
}

impl RedisAnswers {
    /// Copies are written on `io`, and by nobody who has a request to answer.
    pub fn start(redis: Arc<Redis>, copy_key: CopyKey, kept: Duration, io: &Handle) -> RedisAnswers {
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        io.spawn(write(Arc::clone(&redis), copy_key.clone(), queued, kept));
        RedisAnswers { redis, copy_key, queue, here: LocalAnswers::new(kept) }
    }

    async fn elsewhere(&self, tenant_id: TenantId, key: &str, request_hash: [u8; 32]) -> Option<StoredAnswer> {
        let mut commands = pipe();
        commands.cmd("GET").arg(redis_key(&self.redis, tenant_id, key));
        let (found,): (Option<Vec<u8>>,) = self.redis.ask(&commands).await?;
        let copy = found?;
        let answer = self.copy_key.read(tenant_id, key, copy);
        if answer.is_none() {
            metrics::counter!(names::REDIS_FOREIGN_ANSWERS.name).increment(1);
        }
        // That the key was used for another request, only the database may say.
        answer.filter(|answer| answer.request_hash == request_hash)
    }
}

impl Answers for RedisAnswers {
    fn recall<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
        request_hash: [u8; 32],
    ) -> BoxFuture<'a, Option<StoredAnswer>> {
        Box::pin(async move {
            match self.here.find(tenant_id, key, request_hash) {
                None => self.elsewhere(tenant_id, key, request_hash).await,
                here => here,
            }
        })
    }

    fn remember(&self, tenant_id: TenantId, key: &str, answer: StoredAnswer) {
        if self.redis.is_in_use() && answer.answer.len() <= ANSWER_BYTES_MAX {
            let _ = self.queue.try_send((tenant_id, key.to_owned(), answer.clone()));
        }
        self.here.remember(tenant_id, key, answer);
    }
}

/// Until nobody is left to remember anything.
async fn write(redis: Arc<Redis>, copy_key: CopyKey, mut queued: mpsc::Receiver<Copied>, kept: Duration) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while queued.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut commands = pipe();
        for (tenant_id, key, answer) in batch.drain(..) {
            let copy = copy_key.copy(tenant_id, &key, &answer);
            commands.cmd("SET").arg(redis_key(&redis, tenant_id, &key)).arg(copy).arg("PX").arg(millis(kept)).ignore();
        }
        let _: Option<()> = redis.ask(&commands).await;
    }
}

fn redis_key(redis: &Redis, tenant_id: TenantId, key: &str) -> String {
    redis.key(tenant_id, "answer", &key)
}
