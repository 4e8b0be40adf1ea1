use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use codeccloud_actors::ports::{Feed, FeedCursor, ProjectionStore};
use codeccloud_actors::projections::appointment_summaries::AppointmentSummaries;
use codeccloud_actors::projections::availability::Availability;
use codeccloud_actors::projections::loyalty_balances::LoyaltyBalances;
use codeccloud_actors::projections::staff_utilisation::StaffUtilisationDays;
use codeccloud_actors::projections::{Fold, Projection};

use super::Outcome;
use super::access::Opened;
use crate::postgres::{DatabaseRole, FeedSettings, FeedWaker, PostgresFeed, PostgresProjectionStore};
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum ProjectionsCommand {
    /// Show how far each saved projection is
    Status {
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Bring the saved projections up to date
    Snapshot,
    /// Fold all events anew and save the result; stop the servers first, they save their own over it
    Rebuild,
}

/// The saved projections of a database.
struct Saved {
    feed: PostgresFeed,
    store: PostgresProjectionStore,
}

struct Row {
    name: &'static str,
    cursor: FeedCursor,
    events_applied: u64,
    stopped: usize,
}

pub(super) async fn run(settings: Settings, command: ProjectionsCommand) -> Outcome {
    let opened = Opened::new(&settings).await?;
    let pool = opened.database.pool(DatabaseRole::Projector, 2, Duration::from_secs(5));
    let feed_settings = FeedSettings {
        poll: Duration::from_millis(settings.feed.poll_ms),
        page_events: settings.feed.page_events,
        horizon_warn: Duration::from_secs(settings.feed.horizon_warn_seconds),
    };
    let saved = Saved {
        feed: PostgresFeed::new(pool.clone(), FeedWaker::default(), feed_settings),
        store: PostgresProjectionStore::new(pool),
    };
    let (mode, json) = match command {
        ProjectionsCommand::Status { json } => (Mode::Show, json),
        ProjectionsCommand::Snapshot => (Mode::CatchUp, false),
        ProjectionsCommand::Rebuild => (Mode::Rebuild, false),
    };
    let rows = [
        saved.handle::<Availability>(mode).await?,
        saved.handle::<AppointmentSummaries>(mode).await?,
        saved.handle::<StaffUtilisationDays>(mode).await?,
        saved.handle::<LoyaltyBalances>(mode).await?,
    ];
    opened.close().await;
    print_rows(&rows, json);
    Ok(if rows.iter().all(|row| row.stopped == 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Show,
    CatchUp,
    Rebuild,
}

impl Saved {
    async fn handle<P: Projection>(&self, mode: Mode) -> Result<Row, Box<dyn std::error::Error>> {
        let saved = match mode {
            Mode::Show | Mode::CatchUp => self.store.load(P::NAME).await?,
            Mode::Rebuild => None,
        };
        let mut fold: Fold<P> = match &saved {
            Some(saved) => Fold::decode(saved)?,
            None => Fold::default(),
        };
        if mode != Mode::Show {
            loop {
                let page = self.feed.read(&fold.cursor).await?;
                for (tenant_id, at) in fold.apply(&page.events, page.cursor) {
                    eprintln!("{}: tenant {tenant_id} stops at {}: {}", P::NAME, at.position.0, at.reason);
                }
                if page.caught_up {
                    break;
                }
            }
            self.store.save(P::NAME, fold.encode()).await?;
        }
        let stopped = fold.stopped.len();
        Ok(Row { name: P::NAME, cursor: fold.cursor, events_applied: fold.events_applied, stopped })
    }
}

fn print_rows(rows: &[Row], json: bool) {
    if json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "projection": row.name, "eventsApplied": row.events_applied, "cursor": row.cursor,
                    "tenantsStopped": row.stopped
                })
            })
            .collect();
        println!("{}", serde_json::Value::from(rows));
        return;
    }
    println!("{:24} {:>14} {:>16} {:>8}", "projection", "events", "transaction", "stopped");
    for row in rows {
        println!("{:24} {:>14} {:>16} {:>8}", row.name, row.events_applied, row.cursor.low, row.stopped);
    }
}
