//! Who holds the feed back: a transaction that stays open keeps everything behind it waiting, so it is named.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use codeccloud_actors::metrics_catalogue as names;
use codeccloud_actors::time::Timestamp;
use tokio_postgres::types::Type;

use crate::postgres::pooled::PooledClient;
use crate::postgres::types::Xid8;

pub(super) struct HorizonWatch {
    warn_after: Duration,
    held: Mutex<Held>,
}

struct Held {
    horizon: u64,
    since: Instant,
    reported: Option<Holder>,
    last_report: Option<Instant>,
    last_look: Option<Instant>,
    /// The time of the oldest event behind it, as of the last look.
    oldest: Option<Timestamp>,
}

struct Holder {
    pid: String,
    application: String,
}

/// How long the horizon stands still before it is looked what is behind it, and from one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A holder that stays is named again after this long.
const REPORT_EVERY: Duration = Duration::from_secs(30);

impl HorizonWatch {
    pub fn new(warn_after: Duration) -> HorizonWatch {
        let held = Held {
            horizon: 0,
            since: Instant::now(),
            reported: None,
            last_report: None,
            last_look: None,
            oldest: None,
        };
        HorizonWatch { warn_after, held: Mutex::new(held) }
    }

    /// `next` is the first transaction id not yet given out: with nothing running, the horizon is there.
    pub async fn check(&self, client: &PooledClient, horizon: u64, next: u64) {
        let Some(age) = self.overdue(horizon, next) else { return };
        let holder = holder(client, horizon).await.unwrap_or(Holder {
            pid: "unknown".to_owned(),
            application: "a prepared transaction or a replica's snapshot".to_owned(),
        });
        tracing::warn!(
            pid = holder.pid,
            application = holder.application,
            age_seconds = age.as_secs(),
            transaction_id = horizon,
            "a transaction holds the feed back: events behind it wait until it ends"
        );
        self.report(holder, age);
    }

    /// Whether it is time to look what is behind a horizon that was given to [`HorizonWatch::check`] just now.
    pub fn is_worth_a_look(&self, horizon: u64, next: u64) -> bool {
        let held = self.lock();
        let due = held.last_look.map_or(held.since.elapsed(), |last| last.elapsed()) >= LOOK_EVERY;
        horizon != next && horizon == held.horizon && due
    }

    pub fn found(&self, horizon: u64, oldest: Option<Timestamp>) {
        let mut held = self.lock();
        if horizon == held.horizon {
            held.last_look = Some(Instant::now());
            held.oldest = oldest;
        }
    }

    /// What the last look found.
    pub fn held_back(&self, horizon: u64) -> Option<Timestamp> {
        let held = self.lock();
        held.oldest.filter(|_| horizon == held.horizon)
    }

    /// How long the horizon has been held, when that is worth a look now.
    fn overdue(&self, horizon: u64, next: u64) -> Option<Duration> {
        let mut held = self.lock();
        if horizon != held.horizon || horizon == next {
            held.horizon = horizon;
            held.since = Instant::now();
            held.last_report = None;
            held.last_look = None;
            held.oldest = None;
            if let Some(holder) = held.reported.take() {
                gauges(&holder, 0.0);
            }
            return None;
        }
        let age = held.since.elapsed();
        if let Some(holder) = &held.reported {
            gauges(holder, age.as_secs_f64());
        }
        let due = held.last_report.is_none_or(|last| last.elapsed() >= REPORT_EVERY);
        (age >= self.warn_after && due).then_some(age)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, holder: Holder, age: Duration) {
        let mut held = self.lock();
        if let Some(before) = held.reported.take() {
            gauges(&before, 0.0);
        }
        gauges(&holder, age.as_secs_f64());
        held.reported = Some(holder);
        held.last_report = Some(Instant::now());
    }
}

fn gauges(holder: &Holder, age_seconds: f64) {
    let labels = [("pid", holder.pid.clone()), ("application", holder.application.clone())];
    metrics::gauge!(names::FEED_HORIZON_HOLDER_AGE.name, &labels).set(age_seconds);
    metrics::gauge!(names::FEED_HORIZON_AGE.name).set(age_seconds);
}

/// Process and application are visible to every role, unlike what it runs.
async fn holder(client: &PooledClient, horizon: u64) -> Option<Holder> {
    let sql = "SELECT pid::text, coalesce(application_name, '') FROM pg_stat_activity \
               WHERE backend_xid = $1::xid8::xid OR backend_xmin = $1::xid8::xid ORDER BY backend_xid IS NULL LIMIT 1";
    let rows = client.query_typed(sql, &[(&Xid8(horizon), Type::XID8)]).await.ok()?;
    rows.first().map(|row| Holder { pid: row.get(0), application: row.get(1) })
}
