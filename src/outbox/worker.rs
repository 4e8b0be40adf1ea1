//! The loops of one node. Several nodes run them at once; the store keeps them out of each other's way.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codeccloud_actors::metrics_catalogue::{
    OUTBOX_ATTEMPTS, OUTBOX_DEAD_LETTERS, OUTBOX_DEAD_LETTERS_WAITING, OUTBOX_ENTRIES, OUTBOX_LEFT_ALONE,
    OUTBOX_OLDEST_AGE,
};
use codeccloud_actors::ports::{Clock, Ids, StoreError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use metrics::{counter, gauge};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::delivery::{Delivery, Handler, Mark, Outcome};
use super::plan::Planner;
use super::retry::Schedule;
use super::store::{OutboxStore, PlanEntries, Planned};

/// Sends a delivery. It has until the lease ends, and is dropped then.
pub trait Sender: Send + Sync + 'static {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Outcome>;
}

pub struct SenderOf {
    pub sender: Arc<dyn Sender>,
    pub schedule: Schedule,
}

pub struct OutboxPorts {
    pub store: Arc<dyn OutboxStore>,
    /// `None` where no mail is sent.
    pub email: Option<SenderOf>,
    pub webhooks: SenderOf,
    /// Notified when there may be something new.
    pub wake: Arc<Notify>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

#[derive(Debug, Clone)]
pub struct OutboxSettings {
    /// Between two looks when nothing wakes the worker.
    pub poll: Duration,
    pub batch_max: usize,
    /// Deliveries under way at once.
    pub senders: usize,
    pub lease: Duration,
    pub kept: Duration,
}

/// Between two looks at how much there is, and rounds of forgetting.
const GAUGES_EVERY: Duration = Duration::from_secs(5);
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// A target has a quarter of the senders at most, so that a slow one leaves room for the others.
const TARGETS_SHARE: usize = 4;

/// Time within the lease to mark what was sent.
const MARK_MARGIN: Duration = Duration::from_secs(2);

pub struct OutboxWorker {
    stopping: watch::Sender<bool>,
    loops: Vec<JoinHandle<()>>,
    sends: Arc<Semaphore>,
    senders: u32,
}

struct House {
    ports: OutboxPorts,
    settings: OutboxSettings,
    plan: PlanEntries,
    /// Wakes the taking of deliveries: some were planned, or one has ended and its successor may go.
    due: Notify,
    under_way: Mutex<HashMap<Uuid, usize>>,
    sends: Arc<Semaphore>,
}

impl OutboxWorker {
    pub fn start(ports: OutboxPorts, settings: OutboxSettings) -> OutboxWorker {
        let sends = Arc::new(Semaphore::new(settings.senders));
        let (stopping, stop) = watch::channel(false);
        let senders = u32::try_from(settings.senders).unwrap_or(u32::MAX);
        let plan = planning(&ports);
        let house = Arc::new(House {
            ports,
            settings,
            plan,
            due: Notify::new(),
            under_way: Mutex::default(),
            sends: sends.clone(),
        });
        let loops = vec![
            tokio::spawn(until(stop.clone(), plan_entries(house.clone()))),
            tokio::spawn(until(stop.clone(), send_deliveries(house.clone()))),
            tokio::spawn(until(stop, keep_house(house))),
        ];
        OutboxWorker { stopping, loops, sends, senders }
    }

    /// Takes nothing new, and waits for what is being sent. What the caller doesn't wait for is sent again by whoever
    /// finds its lease ended.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        for task in self.loops {
            // A panic of it was logged where it happened.
            let _ = task.await;
        }
        let _ = self.sends.acquire_many(self.senders).await;
    }
}

fn planning(ports: &OutboxPorts) -> PlanEntries {
    let (with_email, ids, clock) = (ports.email.is_some(), ports.ids.clone(), ports.clock.clone());
    Arc::new(move |unplanned| Planner { with_email, ids: &*ids, now: clock.now() }.plan(unplanned))
}

async fn until(mut stop: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stopping| *stopping) => {}
    }
}

async fn plan_entries(house: Arc<House>) {
    loop {
        let planned = house.ports.store.plan(house.settings.batch_max, house.plan.clone()).await;
        let is_full = match planned {
            Ok(Planned::Elsewhere) => false,
            Ok(Planned::Entries { read, deliveries }) => {
                if deliveries > 0 {
                    house.due.notify_one();
                }
                read >= house.settings.batch_max
            }
            Err(error) => {
                tracing::warn!(%error, "entries of the outbox could not be planned; it is tried again");
                false
            }
        };
        if !is_full {
            let _ = tokio::time::timeout(house.settings.poll, house.ports.wake.notified()).await;
        }
    }
}

async fn send_deliveries(house: Arc<House>) {
    loop {
        let taken = match house.take().await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "deliveries of the outbox could not be taken; it is tried again");
                0
            }
        };
        if taken == 0 {
            let _ = tokio::time::timeout(house.settings.poll, house.due.notified()).await;
        }
    }
}

async fn keep_house(house: Arc<House>) {
    match house.ports.store.left_alone().await {
        Ok(0) => gauge!(OUTBOX_LEFT_ALONE.name).set(0.0),
        Ok(entries) => {
            tracing::info!(entries, "the outbox leaves unprocessed entries alone that are older than itself");
            gauge!(OUTBOX_LEFT_ALONE.name).set(as_f64(entries));
        }
        Err(error) => tracing::warn!(%error, "the outbox can't be looked at"),
    }
    let mut forgot_at: Option<Instant> = None;
    loop {
        if let Ok(depth) = house.ports.store.depth().await {
            gauge!(OUTBOX_ENTRIES.name).set(as_f64(depth.entries));
            gauge!(OUTBOX_OLDEST_AGE.name).set(depth.oldest_age.as_secs_f64());
            gauge!(OUTBOX_DEAD_LETTERS_WAITING.name).set(as_f64(depth.dead));
        }
        if forgot_at.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
            // Bit by bit: each bit is a transaction, and feeds wait for the longest.
            while house.ports.store.forget(house.settings.kept).await.unwrap_or(false) {}
            forgot_at = Some(Instant::now());
        }
        tokio::time::sleep(GAUGES_EVERY).await;
    }
}

#[allow(clippy::cast_precision_loss, reason = "nobody has 2^52 entries")]
fn as_f64(count: i64) -> f64 {
    count as f64
}

impl House {
    /// Takes what is due, as far as there are senders, and has it sent. Returns how many that were.
    async fn take(self: &Arc<House>) -> Result<usize, StoreError> {
        let free = self.sends.clone().acquire_owned().await.expect("the semaphore is never closed");
        let share = (self.settings.senders / TARGETS_SHARE).max(1);
        let limit = (self.sends.available_permits() + 1).min(share);
        let busy: Vec<Uuid> = {
            let under_way = self.under_way.lock().expect("nothing panics under this lock");
            under_way.iter().filter(|(_, sends)| **sends >= share).map(|(target, _)| *target).collect()
        };
        let taken_at = Instant::now();
        let deliveries = self.ports.store.take(limit, self.settings.lease, &busy).await?;
        let taken = deliveries.len();
        let mut free = Some(free);
        for delivery in deliveries {
            let permit = match free.take() {
                Some(permit) => permit,
                None => self.sends.clone().acquire_owned().await.expect("the semaphore is never closed"),
            };
            let under_way = UnderWay::begin(self.clone(), delivery.target_id);
            tokio::spawn(async move {
                under_way.0.attempt(&delivery, taken_at).await;
                drop((under_way, permit));
            });
        }
        Ok(taken)
    }

    async fn attempt(&self, delivery: &Delivery, taken_at: Instant) {
        let until = taken_at + self.settings.lease.saturating_sub(MARK_MARGIN);
        let outcome = match self.sender_of(delivery.handler) {
            Some(of) => {
                let sending = AssertUnwindSafe(of.sender.send(delivery)).catch_unwind();
                match tokio::time::timeout_at(until.into(), sending).await {
                    Ok(Ok(outcome)) => outcome,
                    // The panic hook has logged where and why.
                    Ok(Err(_)) => Outcome::Refused { reason: "its sender panicked".to_owned(), status: None },
                    Err(_) => Outcome::Failed { reason: "it took too long".to_owned(), status: None, wait: None },
                }
            }
            None => Outcome::Skipped { reason: "mail is no longer sent" },
        };
        self.record(delivery, outcome).await;
    }

    async fn record(&self, delivery: &Delivery, outcome: Outcome) {
        let handler = delivery.handler.as_str();
        let (mark, status, reason) = self.mark(delivery, outcome);
        let word = match &mark {
            Mark::Done => "done",
            Mark::Skipped => "skipped",
            Mark::Retry { .. } => "failed",
            Mark::Dead => "dead",
        };
        match self.ports.store.finish(delivery, &mark, status, reason.as_deref()).await {
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
            Outcome::Refused { reason, status } => (Mark::Dead, status, Some(reason)),
            Outcome::Failed { reason, status, wait } => {
                let of = self.sender_of(delivery.handler);
                let pause = of.and_then(|of| of.schedule.pause_after(delivery.attempt, self.chance()));
                let mark = pause.map_or(Mark::Dead, |pause| Mark::Retry { wait: pause.max(wait.unwrap_or_default()) });
                (mark, status, Some(reason))
            }
        }
    }

    fn sender_of(&self, handler: Handler) -> Option<&SenderOf> {
        match handler {
            Handler::Email => self.ports.email.as_ref(),
            Handler::Webhook => Some(&self.ports.webhooks),
        }
    }

    /// In `[0, 1)`, from the random tail of an id.
    fn chance(&self) -> f64 {
        let tail = self.ports.ids.uuid().as_u128() & u128::from(u32::MAX);
        f64::from(u32::try_from(tail).expect("32 bits")) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Counts a send towards its target's share for as long as it lasts.
struct UnderWay(Arc<House>, Uuid);

impl UnderWay {
    fn begin(house: Arc<House>, target: Uuid) -> UnderWay {
        *house.under_way.lock().expect("nothing panics under this lock").entry(target).or_default() += 1;
        UnderWay(house, target)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let UnderWay(house, target) = self;
        let mut under_way = house.under_way.lock().expect("nothing panics under this lock");
        if let Some(sends) = under_way.get_mut(target) {
            *sends -= 1;
        }
        under_way.retain(|_, sends| *sends > 0);
        drop(under_way);
        house.due.notify_one();
    }
}
