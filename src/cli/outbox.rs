use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Outcome;
use super::access::Opened;
use crate::postgres::outbox_operators::{self as operators, Choice, DeliveryRow};
use crate::postgres::{DatabaseRole, described, tenants};
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum OutboxCommand {
    /// Show deliveries, newest first; without --state, those that are open: waiting or dead
    List {
        #[command(flatten)]
        chosen: Chosen,
        #[arg(long)]
        state: Option<State>,
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Let what was not delivered begin anew: dead letters, or what was skipped
    Retry {
        #[command(flatten)]
        chosen: Chosen,
        /// Without --id, dead letters only unless it says otherwise
        #[arg(long, value_enum)]
        state: Option<GivenUp>,
        /// All that the other flags leave
        #[arg(long)]
        all: bool,
    },
    /// Give up for good, with an entry in the audit log; without --id, dead letters only
    Discard {
        #[command(flatten)]
        chosen: Chosen,
        /// Every dead letter that the other flags leave
        #[arg(long)]
        all: bool,
        /// For the audit log
        #[arg(long)]
        reason: String,
    },
    /// Say, or show, who marks entries of the MVP's outbox as processed: this software, or the consumers that were there
    /// before it
    Entries { whose: Option<Whose> },
    /// Say that no server sends mail any more: what waits is skipped, and no more is planned until one with `smtp.host` starts
    Mail { state: MailState },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum GivenUp {
    Dead,
    Skipped,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Whose {
    Ours,
    Others,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum MailState {
    Off,
}

#[derive(Args)]
pub(super) struct Chosen {
    /// Slug or id
    #[arg(long)]
    tenant: Option<String>,
    /// A delivery's id, as `list` shows it
    #[arg(long)]
    id: Option<Uuid>,
    #[arg(long, value_parser = ["email", "webhook"])]
    handler: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum State {
    Waiting,
    Done,
    Skipped,
    Dead,
    Discarded,
}

type Failure = Box<dyn std::error::Error>;

pub(super) async fn run(settings: Settings, command: OutboxCommand) -> Outcome {
    let opened = Opened::new(&settings).await?;
    let outcome = carry_out(&opened, command).await;
    opened.close().await;
    outcome
}

async fn carry_out(opened: &Opened, command: OutboxCommand) -> Outcome {
    let mut client = opened.client(DatabaseRole::Outbox).await?;
    match command {
        OutboxCommand::List { chosen, state, limit, json } => {
            let states = match state {
                Some(state) => vec![state],
                None => vec![State::Waiting, State::Dead],
            };
            let mut rows = Vec::new();
            for state in states {
                let choice = chosen.choice(opened, Some(state)).await?;
                rows.extend(operators::list(&client, &choice, limit.into()).await.map_err(|e| described(&e))?);
            }
            print(&rows, json);
        }
        OutboxCommand::Retry { chosen, state, all } => {
            chosen.demand_choice(all)?;
            let state = match state {
                Some(GivenUp::Dead) => Some(State::Dead),
                Some(GivenUp::Skipped) => Some(State::Skipped),
                None => chosen.id.is_none().then_some(State::Dead),
            };
            let choice = chosen.choice(opened, state).await?;
            let retried = operators::retry(&mut client, &choice).await.map_err(|e| described(&e))?;
            println!("{retried} deliveries begin anew");
            return Ok(found(retried));
        }
        OutboxCommand::Discard { chosen, all, reason } => {
            chosen.demand_choice(all)?;
            let state = chosen.id.is_none().then_some(State::Dead);
            let choice = chosen.choice(opened, state).await?;
            let discarded = operators::discard(&mut client, &choice, &reason).await.map_err(|e| described(&e))?;
            println!("{discarded} deliveries were discarded");
            return Ok(found(discarded));
        }
        OutboxCommand::Entries { whose } => {
            if let Some(whose) = whose {
                let ours = whose == Whose::Ours;
                operators::mark_entries(&mut client, ours).await.map_err(|e| described(&e))?;
            }
            let ours = operators::marks_entries(&client).await.map_err(|e| described(&e))?;
            println!("{}", if ours { "ours" } else { "others" });
        }
        OutboxCommand::Mail { state: MailState::Off } => {
            let skipped = operators::stop_mail(&mut client).await.map_err(|e| described(&e))?;
            println!("{skipped} mails were skipped");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn found(count: u64) -> ExitCode {
    if count > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Chosen {
    fn demand_choice(&self, all: bool) -> Result<(), Failure> {
        if self.id.is_none() && !all {
            return Err("say which one by --id, or --all".into());
        }
        Ok(())
    }

    async fn choice(&self, opened: &Opened, state: Option<State>) -> Result<Choice, Failure> {
        let tenant_id = match &self.tenant {
            None => None,
            Some(named) => {
                let operator = opened.client(DatabaseRole::Operator).await?;
                let tenant = tenants::find(&operator, named).await?;
                Some(tenant.ok_or_else(|| format!("there is no tenant {named}"))?.id)
            }
        };
        let state = state.map(|state| state.as_str().to_owned());
        Ok(Choice { tenant_id, id: self.id, state, handler: self.handler.clone() })
    }
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Done => "done",
            State::Skipped => "skipped",
            State::Dead => "dead",
            State::Discarded => "discarded",
        }
    }
}

fn print(rows: &[DeliveryRow], as_json: bool) {
    if as_json {
        println!("{}", Value::from_iter(rows.iter().map(json_row)));
        return;
    }
    println!(
        "{:36}  {:36}  {:8} {:20} {:9} {:>8}  {:24}  reason",
        "id", "tenant", "handler", "event", "state", "attempts", "due"
    );
    for row in rows {
        println!(
            "{}  {}  {:8} {:20} {:9} {:>8}  {:24}  {}",
            row.id,
            row.tenant_id,
            row.handler,
            row.event_type,
            row.state,
            row.attempts,
            row.due_at.to_string(),
            row.reason.as_deref().unwrap_or_default()
        );
    }
}

fn json_row(row: &DeliveryRow) -> Value {
    json!({
        "id": row.id, "tenantId": row.tenant_id, "entryId": row.entry_id, "bookingId": row.aggregate_id,
        "handler": row.handler, "targetId": row.target_id, "eventType": row.event_type, "state": row.state,
        "attempts": row.attempts, "dueAt": row.due_at, "responseStatus": row.response_status, "reason": row.reason,
        "createdAt": row.created_at, "finishedAt": row.finished_at
    })
}
