//! `codeccloud projections`: orders go to all servers on the database, and the command waits until they are carried out.
//! Where no server runs, it works on the saved projections itself.

mod saved;
mod servers;
mod table;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use codeccloud_actors::ids::{Position, TenantId};
use codeccloud_actors::projections::Projection;
use codeccloud_actors::projections::appointment_summaries::AppointmentSummaries;
use codeccloud_actors::projections::availability::Availability;
use codeccloud_actors::projections::inventory::Inventory;
use codeccloud_actors::projections::loyalty_balances::LoyaltyBalances;
use codeccloud_actors::projections::revenue::Revenue;
use codeccloud_actors::projections::staff_utilisation::StaffUtilisationDays;

use self::saved::SavedProjections;
use self::servers::Servers;
use self::table::{Place, Seen};
use super::Outcome;
use super::access::Opened;
use crate::postgres::{DatabaseRole, PooledClient, projection_orders, tenants};
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum ProjectionsCommand {
    /// Show the projections of each running server, or the saved ones
    Status {
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Bring the saved projections up to date
    Snapshot,
    /// Fold all events anew, beside the live projections where servers run
    Rebuild {
        /// One of them only
        #[arg(long, value_parser = NAMES)]
        projection: Option<String>,
    },
    /// Try again the event at which a tenant is stopped
    Retry(Stop),
    /// Pass over the one event at which a tenant is stopped
    Skip {
        #[command(flatten)]
        stop: Stop,
        /// The event's position, as `status` shows it
        #[arg(long)]
        position: i64,
    },
}

#[derive(Args)]
pub(super) struct Stop {
    #[arg(long, value_parser = NAMES)]
    projection: String,
    /// Slug or id
    #[arg(long)]
    tenant: String,
}

const NAMES: [&str; 6] = [
    Availability::NAME,
    AppointmentSummaries::NAME,
    StaffUtilisationDays::NAME,
    LoyaltyBalances::NAME,
    Inventory::NAME,
    Revenue::NAME,
];

type Failure = Box<dyn std::error::Error>;

/// A projection, and the generation that its models are to have.
type Ordered = (&'static str, u64);

pub(super) async fn run(settings: Settings, command: ProjectionsCommand) -> Outcome {
    let opened = Opened::new(&settings).await?;
    let outcome = carry_out(&settings, &opened, command).await;
    opened.close().await;
    outcome
}

async fn carry_out(settings: &Settings, opened: &Opened, command: ProjectionsCommand) -> Outcome {
    let projector = opened.client(DatabaseRole::Projector).await?;
    let saved = SavedProjections::of(&opened.database, settings);
    let servers = Servers { projector: &projector, exist: !opened.is_alone() };
    let (seen, json) = match command {
        ProjectionsCommand::Status { json } => (status(&servers, &saved).await?, json),
        ProjectionsCommand::Snapshot => {
            (vec![Seen { place: Place::Saved, projections: saved.catch_up().await? }], false)
        }
        ProjectionsCommand::Rebuild { projection } => {
            let wanted = NAMES.into_iter().filter(|name| projection.as_deref().is_none_or(|wanted| wanted == *name));
            (rebuild(&servers, &saved, &projector, wanted).await?, false)
        }
        ProjectionsCommand::Retry(stop) => {
            let stopped = Stopped::find(opened, &projector, &stop).await?;
            (rebuild(&servers, &saved, &projector, [stopped.projection]).await?, false)
        }
        ProjectionsCommand::Skip { stop, position } => {
            let stopped = Stopped::find(opened, &projector, &stop).await?;
            stopped.skip(&projector, Position(position)).await?;
            (rebuild(&servers, &saved, &projector, [stopped.projection]).await?, false)
        }
    };
    table::print(&seen, json);
    Ok(if seen.iter().all(Seen::is_sound) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn status(servers: &Servers<'_>, saved: &SavedProjections) -> Result<Vec<Seen>, Failure> {
    let reports = servers.ask().await?;
    if !reports.is_empty() {
        return Ok(reports.into_iter().map(Seen::from).collect());
    }
    eprintln!("no server runs on this database: these are the saved projections");
    Ok(vec![Seen { place: Place::Saved, projections: saved.status().await? }])
}

/// The order stands before anybody is asked, so a server that starts meanwhile, or was away, obeys it as well.
async fn rebuild(
    servers: &Servers<'_>,
    saved: &SavedProjections,
    projector: &PooledClient,
    names: impl IntoIterator<Item = &'static str>,
) -> Result<Vec<Seen>, Failure> {
    let mut ordered: Vec<Ordered> = Vec::new();
    for name in names {
        ordered.push((name, projection_orders::rebuild(projector, name).await?));
    }
    let reports = servers.ask().await?;
    let mut seen: Vec<Seen> = if reports.is_empty() {
        eprintln!("no server runs on this database: the saved projections are rebuilt here");
        vec![Seen { place: Place::Saved, projections: saved.rebuild(&ordered).await? }]
    } else {
        servers.until_done(reports, &ordered).await?.into_iter().map(Seen::from).collect()
    };
    for seen in &mut seen {
        seen.projections.retain(|projection| ordered.iter().any(|(name, _)| projection.name == *name));
    }
    Ok(seen)
}

/// A tenant that is stopped in a projection.
struct Stopped {
    projection: &'static str,
    tenant_id: TenantId,
    position: Position,
}

impl Stopped {
    async fn find(opened: &Opened, projector: &PooledClient, stop: &Stop) -> Result<Stopped, Failure> {
        let operator = opened.client(DatabaseRole::Operator).await?;
        let tenant = tenants::find(&operator, &stop.tenant).await?;
        let tenant_id = tenant.ok_or_else(|| format!("there is no tenant {}", stop.tenant))?.id;
        let projection = NAMES.into_iter().find(|name| *name == stop.projection).expect("the parser knows the names");
        let at = projection_orders::stopped(projector, projection, tenant_id).await?;
        let at = at.ok_or_else(|| format!("{} is not stopped in {projection}", stop.tenant))?;
        Ok(Stopped { projection, tenant_id, position: at.position })
    }

    /// Nothing but the very event that stops the tenant can be skipped: any other may be of use yet.
    async fn skip(&self, projector: &PooledClient, position: Position) -> Result<(), Failure> {
        if self.position != position {
            return Err(format!("the tenant is stopped at {}, not at {}", self.position.0, position.0).into());
        }
        Ok(projection_orders::skip(projector, self.projection, self.tenant_id, position).await?)
    }
}
