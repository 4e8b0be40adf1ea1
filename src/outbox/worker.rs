//! The loops of one node. Several nodes run them at once; the store keeps them out of each other's way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codeccloud_actors::metrics_catalogue::{
    OUTBOX_DEAD_LETTERS, OUTBOX_DEAD_LETTERS_WAITING, OUTBOX_ENTRIES, OUTBOX_LEFT_ALONE, OUTBOX_OLDEST_AGE,
};
use codeccloud_actors::ports::{Clock, Ids, StoreError};
use metrics::{counter, gauge};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::delivery::Handler;
use super::plan::Planner;
use super::sending::{Desk, SenderOf};
use super::store::{Depth, OutboxStore, PlanEntries, Planned};

pub struct OutboxPorts {
    pub store: Arc<dyn OutboxStore>,
    /// `None` on a node that has no mail server: it plans mail if others send it, and leaves it to them.
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
    /// Deliveries of one handler under way at once.
    pub senders: usize,
    pub lease: Duration,
    pub kept: Duration,
}

/// Between two looks at how much there is, and rounds of forgetting.
const GAUGES_EVERY: Duration = Duration::from_secs(5);
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// Rounds follow each other no sooner, unless there is more than one can take: under load each has many entries to plan
/// instead of a few, and nobody waits for a tenth of a second.
const PLAN_EVERY_MIN: Duration = Duration::from_millis(100);

/// Entries are marked a little later than their deliveries end: nobody waits for it.
const MARK_EVERY_MAX: Duration = Duration::from_millis(500);

pub struct OutboxWorker {
    stopping: watch::Sender<bool>,
    loops: Vec<JoinHandle<()>>,
    desks: Vec<Arc<Desk>>,
}

struct House {
    store: Arc<dyn OutboxStore>,
    settings: OutboxSettings,
    wake: Arc<Notify>,
    plan: PlanEntries,
    desks: Vec<Arc<Desk>>,
}

impl OutboxWorker {
    /// Returns once the database knows that there is a worker.
    pub async fn start(ports: OutboxPorts, settings: OutboxSettings) -> Result<OutboxWorker, StoreError> {
        ports.store.begin(ports.email.is_some()).await?;
        for handler in Handler::ALL {
            // So that the first one is an increase.
            counter!(OUTBOX_DEAD_LETTERS.name, "handler" => handler.as_str()).increment(0);
        }
        let plan = planning(&ports);
        let senders = [(Handler::Email, ports.email), (Handler::Webhook, Some(ports.webhooks))];
        let desk = |(handler, of)| Desk::new(handler, of, ports.store.clone(), ports.ids.clone(), settings.clone());
        let senders = senders.into_iter().filter_map(|(handler, of)| Some((handler, of?)));
        let desks: Vec<Arc<Desk>> = senders.map(desk).map(Arc::new).collect();
        let house = Arc::new(House { store: ports.store, settings, wake: ports.wake, plan, desks: desks.clone() });
        let (stopping, stop) = watch::channel(false);
        let mut loops = vec![
            tokio::spawn(until(stop.clone(), plan_entries(house.clone()))),
            tokio::spawn(until(stop.clone(), mark_entries(house.clone()))),
            tokio::spawn(until(stop.clone(), keep_house(house))),
        ];
        loops.extend(desks.iter().map(|desk| tokio::spawn(until(stop.clone(), desk.clone().send_deliveries()))));
        Ok(OutboxWorker { stopping, loops, desks })
    }

    /// Takes nothing new, and waits for what is being sent. What the caller doesn't wait for is sent again by whoever
    /// finds its lease ended.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        for task in self.loops {
            // A panic of it was logged where it happened.
            let _ = task.await;
        }
        for desk in self.desks {
            desk.finished().await;
        }
    }
}

fn planning(ports: &OutboxPorts) -> PlanEntries {
    let (ids, clock) = (ports.ids.clone(), ports.clock.clone());
    Arc::new(move |unplanned| Planner { ids: &*ids, now: clock.now() }.plan(unplanned))
}

async fn until(mut stop: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stopping| *stopping) => {}
    }
}

async fn plan_entries(house: Arc<House>) {
    let mut is_woken = false;
    loop {
        let next = tokio::time::Instant::now() + PLAN_EVERY_MIN;
        let planned = house.store.plan(house.settings.batch_max, house.plan.clone()).await;
        let (is_full, is_due) = match planned {
            // Whoever is at it may have planned something.
            Ok(Planned::Elsewhere) => (false, is_woken),
            // Woken, and there is no entry: it was for a delivery that is to be made again.
            Ok(Planned::Entries { read, deliveries }) => {
                (read >= house.settings.batch_max, deliveries > 0 || (is_woken && read == 0))
            }
            Err(error) => {
                tracing::warn!(%error, "entries of the outbox could not be planned; it is tried again");
                (false, false)
            }
        };
        if is_due {
            house.desks.iter().for_each(|desk| desk.wake());
        }
        is_woken = !is_full && tokio::time::timeout(house.settings.poll, house.wake.notified()).await.is_ok();
        if is_woken {
            tokio::time::sleep_until(next).await;
        }
    }
}

async fn mark_entries(house: Arc<House>) {
    loop {
        if let Err(error) = house.store.mark().await {
            tracing::warn!(%error, "entries of the outbox could not be marked as processed; it is tried again");
        }
        tokio::time::sleep(house.settings.poll.min(MARK_EVERY_MAX)).await;
    }
}

async fn keep_house(house: Arc<House>) {
    match house.store.left_alone().await {
        Ok(0) => gauge!(OUTBOX_LEFT_ALONE.name).set(0.0),
        Ok(entries) => {
            tracing::info!(entries, "the outbox leaves unprocessed entries alone that are older than itself");
            gauge!(OUTBOX_LEFT_ALONE.name).set(as_f64(entries));
        }
        Err(error) => tracing::warn!(%error, "the outbox can't be looked at"),
    }
    let mut forgot_at: Option<Instant> = None;
    let mut seen = (Instant::now(), Duration::ZERO);
    loop {
        match house.store.depth().await {
            Ok(depth) => {
                seen = (Instant::now(), depth.oldest_age);
                show(depth);
            }
            Err(error) => {
                tracing::warn!(%error, "the outbox can't be looked at");
                // What was not seen to end has grown older, and a database that is away holds up everything.
                gauge!(OUTBOX_OLDEST_AGE.name).set((seen.1 + seen.0.elapsed()).as_secs_f64());
            }
        }
        if forgot_at.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
            // Bit by bit: each bit is a transaction, and feeds wait for the longest.
            while house.store.forget(house.settings.kept).await.unwrap_or(false) {}
            forgot_at = Some(Instant::now());
        }
        tokio::time::sleep(GAUGES_EVERY).await;
    }
}

fn show(depth: Depth) {
    gauge!(OUTBOX_ENTRIES.name).set(as_f64(depth.entries));
    gauge!(OUTBOX_OLDEST_AGE.name).set(depth.oldest_age.as_secs_f64());
    gauge!(OUTBOX_DEAD_LETTERS_WAITING.name).set(as_f64(depth.dead));
}

#[allow(clippy::cast_precision_loss, reason = "nobody has 2^52 entries")]
fn as_f64(count: i64) -> f64 {
    count as f64
}
