use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::access::Opened;
use super::{Outcome, adoption};
use crate::postgres::DatabaseRole;
use crate::postgres::schema::{self, MigrationStatus};
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum SchemaCommand {
    /// Apply what is missing
    Apply,
    /// Bring our additions into a database that an existing deployment runs, beside its data
    Adopt {
        /// Compare and print the SQL, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Say again what the rows of an adopted database hold
        #[arg(long, conflicts_with = "dry_run")]
        report: bool,
        /// One JSON document instead of text
        #[arg(long)]
        json: bool,
    },
    /// Show which migrations are applied; fails if one is not
    Status {
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Undo migrations down to the given number, which stays
    Rollback {
        #[arg(long, value_name = "NUMBER")]
        to: u32,
    },
}

pub(super) async fn run(settings: Settings, command: SchemaCommand) -> Outcome {
    let opened = Opened::new(&settings).await?;
    let mut owner = opened.client(DatabaseRole::Owner).await?;
    if !opened.database.has_sessions() && !matches!(command, SchemaCommand::Status { .. }) {
        return Err("changing the schema takes a connection past the pooler: set DATABASE_DIRECT_URL".into());
    }
    let mut code = ExitCode::SUCCESS;
    match command {
        SchemaCommand::Adopt { dry_run, report, json } => {
            code = adoption::run(&mut owner, adoption::Wish { dry_run, report }, json).await?;
        }
        SchemaCommand::Apply => {
            let applied = schema::apply(&mut owner).await.map_err(explained)?;
            applied.iter().for_each(|migration| println!("applied {:04}_{}", migration.number, migration.name));
            println!("the schema is up to date");
        }
        SchemaCommand::Status { json } => {
            let migrations = schema::status(&owner).await.map_err(explained)?;
            print_status(&migrations, json);
            if migrations.iter().any(|migration| migration.applied_at.is_none()) {
                code = ExitCode::FAILURE;
            }
        }
        SchemaCommand::Rollback { to } => {
            let undone = schema::rollback(&mut owner, to).await.map_err(explained)?;
            undone.iter().for_each(|migration| println!("undone {:04}_{}", migration.number, migration.name));
        }
    }
    opened.close().await;
    Ok(code)
}

fn print_status(migrations: &[MigrationStatus], as_json: bool) {
    if as_json {
        let row = |m: &MigrationStatus| json!({ "number": m.number, "name": m.name, "appliedAt": m.applied_at, "adopted": m.is_adopted });
        println!("{}", Value::from_iter(migrations.iter().map(row)));
        return;
    }
    for migration in migrations {
        let when = migration.applied_at.map_or_else(|| "not applied".to_owned(), |at| at.to_string());
        let how = if migration.is_adopted { "  adopted" } else { "" };
        println!("{:04}_{:20} {when}{how}", migration.number, migration.name);
    }
}

/// With what Postgres said, which stands in the error's source.
pub(super) fn explained(error: schema::SchemaError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
