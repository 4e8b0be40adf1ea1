//! Has the deliveries of one handler sent. Each handler has senders of its own: a mail server that hangs leaves webhooks
//! alone.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::metrics_catalogue::{OUTBOX_ATTEMPTS, OUTBOX_DEAD_LETTERS};
use codeccloud_actors::ports::{Ids, StoreError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use metrics::counter;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use super::delivery::{Delivery, Handler, Mark, Outcome};
use super::retry::Schedule;
use super::store::{OutboxStore, Room};
use super::worker::OutboxSettings;

/// Sends a delivery. It has until the lease ends, and is dropped then.
pub trait Sender: Send + Sync + 'static {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Outcome>;
}

#[derive(Clone)]
pub struct SenderOf {
    pub sender: Arc<dyn Sender>,
    pub schedule: Schedule,
}

/// A tenant has a quarter of a handler's senders at most, and one of its endpoints half of that.
const TENANTS_SHARE: usize = 4;
const TARGETS_SHARE: usize = 2;

/// Time within the lease to mark what was sent.
const MARK_MARGIN: Duration = Duration::from_secs(2);

/// Between two tries to record what became of an attempt: as long as the lease lasts, nobody sends it again.
const RECORD_PAUSE: Duration = Duration::from_millis(250);

/// Until what could not be tried is tried.
const NOT_TRIED_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Desk {
    handler: Handler,
    of: SenderOf,
    store: Arc<dyn OutboxStore>,
    ids: Arc<dyn Ids>,
    settings: OutboxSettings,
    /// Wakes the taking of deliveries: some were planned, or one has ended and its successor may go.
    due: Notify,
    under_way: Mutex<Vec<(TenantId, Uuid)>>,
    sends: Arc<Semaphore>,
}

impl Desk {
    pub fn new(
        handler: Handler,
        of: SenderOf,
        store: Arc<dyn OutboxStore>,
        ids: Arc<dyn Ids>,
        settings: OutboxSettings,
    ) -> Desk {
        let sends = Arc::new(Semaphore::new(settings.senders));
        Desk { handler, of, store, ids, settings, due: Notify::new(), under_way: Mutex::default(), sends }
    }

    /// There may be something to take.
    pub fn wake(&self) {
        self.due.notify_one();
    }

    /// Waits for what is under way.
    pub async fn finished(&self) {
        let _ = self.sends.acquire_many(u32::try_from(self.settings.senders).unwrap_or(u32::MAX)).await;
    }

    /// Never returns.
    pub async fn send_deliveries(self: Arc<Desk>) {
        loop {
            let taken = match self.take().await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!(%error, "deliveries of the outbox could not be taken; it is tried again");
                    0
                }
            };
            if taken == 0 {
                let _ = tokio::time::timeout(self.settings.poll, self.due.notified()).await;
            }
        }
    }

    /// Takes what is due, as far as there are senders, and has it sent. Returns how many that were.
    async fn take(self: &Arc<Desk>) -> Result<usize, StoreError> {
        let mut free = Some(self.sends.clone().acquire_owned().await.expect("the semaphore is never closed"));
        let room = self.room(self.sends.available_permits() + 1);
        let taken_at = Instant::now();
        let deliveries = self.store.take(&room, self.settings.lease).await?;
        let taken = deliveries.len();
        for delivery in deliveries {
            let permit = match free.take() {
                Some(permit) => permit,
                None => self.sends.clone().acquire_owned().await.expect("the semaphore is never closed"),
            };
            let under_way = UnderWay::begin(self.clone(), (delivery.tenant_id, delivery.target_id));
            tokio::spawn(async move {
                under_way.0.attempt(&delivery, taken_at).await;
                // The permit first: who is woken by the other looks for it.
                drop(permit);
                drop(under_way);
            });
        }
        Ok(taken)
    }

    fn room(&self, limit: usize) -> Room {
        let per_tenant = (self.settings.senders / TENANTS_SHARE).max(1);
        let per_target = match self.handler {
            // The tenant itself is the target.
            Handler::Email => per_tenant,
            Handler::Webhook => (per_tenant / TARGETS_SHARE).max(1),
        };
        let under_way = self.under_way.lock().expect("nothing panics under this lock").clone();
        Room { handler: self.handler, limit, per_tenant, per_target, under_way }
    }

    async fn attempt(&self, delivery: &Delivery, taken_at: Instant) {
        let lease_ends = taken_at + self.settings.lease;
        let until = lease_ends.checked_sub(MARK_MARGIN).unwrap_or(taken_at);
        let sending = AssertUnwindSafe(self.of.sender.send(delivery)).catch_unwind();
        let outcome = match tokio::time::timeout_at(until.into(), sending).await {
            Ok(Ok(outcome)) => outcome,
            // The panic hook has logged where and why.
            Ok(Err(_)) => Outcome::Refused { reason: "its sender panicked".to_owned(), status: None },
            Err(_) => Outcome::Failed { reason: "it took too long".to_owned(), status: None, wait: None },
        };
        self.record(delivery, outcome, lease_ends).await;
    }

    async fn record(&self, delivery: &Delivery, outcome: Outcome, lease_ends: Instant) {
        let handler = self.handler.as_str();
        let (mark, status, reason) = self.mark(delivery, outcome);
        let word = match &mark {
            Mark::Done => "done",
            Mark::Skipped => "skipped",
            Mark::Retry { .. } => "failed",
            Mark::NotTried { .. } => "not_tried",
            Mark::Dead => "dead",
        };
        let recorded = loop {
            match self.store.finish(delivery, &mark, status, reason.as_deref()).await {
                Err(error) if Instant::now() + RECORD_PAUSE < lease_ends => {
                    tracing::debug!(%error, delivery = %delivery.id, "what became of a delivery is to be recorded yet");
                    tokio::time::sleep(RECORD_PAUSE).await;
                }
                recorded => break recorded,
            }
        };
        match recorded {
            Ok(true) => {
                counter!(OUTBOX_ATTEMPTS.name, "handler" => handler, "outcome" => word).increment(1);
                if mark == Mark::Dead {
                    counter!(OUTBOX_DEAD_LETTERS.name, "handler" => handler).increment(1);
                    let (delivery, reason) = (delivery.id, reason.unwrap_or_default());
                    tracing::error!(%delivery, handler, reason, "a delivery of the outbox was given up");
                }
            }
            Ok(false) => tracing::warn!(delivery = %delivery.id, "a lease ended before its delivery did"),
            Err(error) => {
                tracing::warn!(%error, delivery = %delivery.id, "what became of a delivery is not recorded; it is sent again");
            }
        }
    }

    fn mark(&self, delivery: &Delivery, outcome: Outcome) -> (Mark, Option<u16>, Option<String>) {
        match outcome {
            Outcome::Done { status } => (Mark::Done, status, None),
            Outcome::Skipped { reason } => (Mark::Skipped, None, Some(reason.to_owned())),
            Outcome::NotTried { reason } => {
                (Mark::NotTried { wait: NOT_TRIED_PAUSE.mul_f64(1.0 + self.chance()) }, None, Some(reason.to_owned()))
            }
            Outcome::Refused { reason, status } => (Mark::Dead, status, Some(reason)),
            Outcome::Failed { reason, status, wait } => {
                let pause = self.of.schedule.pause_after(delivery.attempt, self.chance());
                let mark = pause.map_or(Mark::Dead, |pause| Mark::Retry { wait: pause.max(wait.unwrap_or_default()) });
                (mark, status, Some(reason))
            }
        }
    }

    /// In `[0, 1)`, from the random tail of an id.
    fn chance(&self) -> f64 {
        let tail = self.ids.uuid().as_u128() & u128::from(u32::MAX);
        f64::from(u32::try_from(tail).expect("32 bits")) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Counts a send towards the shares of its tenant and target for as long as it lasts.
struct UnderWay(Arc<Desk>, (TenantId, Uuid));

impl UnderWay {
    fn begin(desk: Arc<Desk>, target: (TenantId, Uuid)) -> UnderWay {
        desk.under_way.lock().expect("nothing panics under this lock").push(target);
        UnderWay(desk, target)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let UnderWay(desk, target) = self;
        let mut under_way = desk.under_way.lock().expect("nothing panics under this lock");
        if let Some(place) = under_way.iter().position(|other| other == target) {
            under_way.swap_remove(place);
        }
        drop(under_way);
        desk.due.notify_one();
    }
}
