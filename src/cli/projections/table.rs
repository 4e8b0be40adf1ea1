use codeccloud_actors::ids::NodeId;
use codeccloud_actors::ports::ProjectionStatus;
use serde_json::{Value, json};

use crate::postgres::projection_orders::NodeReport;

/// Projections, and where they were seen.
pub(super) struct Seen {
    pub place: Place,
    pub projections: Vec<ProjectionStatus>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Server(NodeId),
    /// In the database; no server shows them.
    Saved,
}

impl From<NodeReport> for Seen {
    fn from(report: NodeReport) -> Seen {
        Seen { place: Place::Server(report.node_id), projections: report.projections }
    }
}

impl Seen {
    /// No tenant is stopped, and servers show their models.
    pub fn is_sound(&self) -> bool {
        let is_shown = |status: &ProjectionStatus| status.live || self.place == Place::Saved;
        self.projections.iter().all(|status| status.stopped.is_empty() && is_shown(status))
    }

    fn state(&self, status: &ProjectionStatus) -> &'static str {
        match (self.place, status.live, status.rebuilding) {
            (Place::Saved, _, _) => "saved",
            (Place::Server(_), false, _) => "catching up",
            (Place::Server(_), true, Some(_)) => "live, rebuilding",
            (Place::Server(_), true, None) => "live",
        }
    }

    fn server(&self) -> Option<String> {
        match self.place {
            Place::Server(node_id) => Some(node_id.to_string()),
            Place::Saved => None,
        }
    }
}

pub(super) fn print(all: &[Seen], as_json: bool) {
    if as_json {
        println!("{}", Value::from_iter(all.iter().flat_map(json_rows)));
        return;
    }
    println!(
        "{:36}  {:22} {:>10} {:>12} {:>12}  {:16}  stopped",
        "server", "projection", "generation", "events", "transaction", "state"
    );
    for seen in all {
        let server = seen.server().unwrap_or_default();
        for status in &seen.projections {
            println!(
                "{server:36}  {:22} {:>10} {:>12} {:>12}  {:16}  {}",
                status.name,
                status.generation,
                status.events_applied,
                status.cursor.low,
                seen.state(status),
                status.stopped.len()
            );
        }
    }
    for seen in all {
        for status in &seen.projections {
            for (tenant_id, at) in &status.stopped {
                println!("{}: tenant {tenant_id} is stopped at position {}: {}", status.name, at.position.0, at.reason);
            }
        }
    }
}

fn json_rows(seen: &Seen) -> impl Iterator<Item = Value> {
    seen.projections.iter().map(move |status| {
        let stopped: Vec<Value> = status
            .stopped
            .iter()
            .map(|(tenant_id, at)| json!({ "tenantId": tenant_id, "position": at.position, "reason": at.reason }))
            .collect();
        json!({
            "server": seen.server(), "projection": status.name, "generation": status.generation,
            "eventsApplied": status.events_applied, "cursor": status.cursor, "state": seen.state(status),
            "rebuilding": status.rebuilding, "tenantsStopped": stopped
        })
    })
}
