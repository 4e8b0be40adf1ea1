use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::{Failure, Ordered};
use crate::postgres::PooledClient;
use crate::postgres::projection_orders::{self, NodeReport};

/// Servers look for inquiries every second, told so or not; who is silent for longer isn't there.
const ANSWERS_WAIT: Duration = Duration::from_millis(1_300);

/// A busy server, alone, may take longer.
const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(4);

/// Between two looks at how far the servers are.
const PROGRESS_PAUSE: Duration = Duration::from_millis(250);

/// A server that was there and is silent for this long has gone.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// All servers that run on the database.
pub(super) struct Servers<'a> {
    pub projector: &'a PooledClient,
    /// Whether there can be any.
    pub exist: bool,
}

impl Servers<'_> {
    pub async fn ask(&self) -> Result<Vec<NodeReport>, Failure> {
        if !self.exist {
            return Ok(Vec::new());
        }
        let inquiry = projection_orders::inquire(self.projector).await?;
        let asked = Instant::now();
        tokio::time::sleep(ANSWERS_WAIT).await;
        loop {
            let reports = projection_orders::reports(self.projector, inquiry).await?;
            if !reports.is_empty() || asked.elapsed() > FIRST_ANSWER_WAIT {
                return Ok(reports);
            }
            tokio::time::sleep(PROGRESS_PAUSE).await;
        }
    }

    /// Waits until the servers that have answered are done. One that goes away obeys when it is back.
    pub async fn until_done(&self, answered: Vec<NodeReport>, ordered: &[Ordered]) -> Result<Vec<NodeReport>, Failure> {
        let expected: HashSet<_> = answered.iter().map(|report| report.node_id).collect();
        let (mut heard, mut told) = (Instant::now(), Instant::now());
        let mut reports = answered;
        loop {
            let complete = expected.iter().all(|node_id| reports.iter().any(|report| report.node_id == *node_id));
            if complete {
                heard = Instant::now();
            } else if heard.elapsed() > SILENCE_MAX {
                return Err("a server does not answer any more; it obeys the order when it is back".into());
            }
            if complete && reports.iter().all(|report| is_done(report, ordered)) {
                return Ok(reports);
            }
            if told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                tell_progress(&reports);
            }
            let inquiry = projection_orders::inquire(self.projector).await?;
            tokio::time::sleep(PROGRESS_PAUSE).await;
            reports = projection_orders::reports(self.projector, inquiry).await?;
        }
    }
}

fn is_done(report: &NodeReport, ordered: &[Ordered]) -> bool {
    ordered.iter().all(|(name, generation)| {
        let projection = report.projections.iter().find(|projection| projection.name == *name);
        projection.is_some_and(|found| found.generation >= *generation && found.rebuilding.is_none())
    })
}

fn tell_progress(reports: &[NodeReport]) {
    for report in reports {
        for projection in &report.projections {
            if let Some(events) = projection.rebuilding {
                eprintln!("server {}: {}: {events} events", report.node_id, projection.name);
            }
        }
    }
}
