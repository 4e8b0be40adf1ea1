use std::process::ExitCode;

use clap::Subcommand;

use super::Outcome;
use super::access::Opened;
use crate::postgres::DatabaseRole;
use crate::postgres::schema;
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum SchemaCommand {
    /// Apply what is missing
    Apply,
    /// Show which migrations are applied
    Status,
    /// Undo migrations down to the given number, which stays
    Rollback {
        #[arg(long, value_name = "NUMBER")]
        to: u32,
    },
}

pub(super) async fn run(settings: Settings, command: SchemaCommand) -> Outcome {
    let opened = Opened::new(&settings).await?;
    let mut owner = opened.client(DatabaseRole::Owner).await?;
    match command {
        SchemaCommand::Apply => {
            let applied = schema::apply(&mut owner).await.map_err(explained)?;
            applied.iter().for_each(|migration| println!("applied {:04}_{}", migration.number, migration.name));
            println!("the schema is up to date");
        }
        SchemaCommand::Status => {
            for migration in schema::status(&owner).await.map_err(explained)? {
                let when = migration.applied_at.map_or_else(|| "not applied".to_owned(), |at| at.to_string());
                println!("{:04}_{:20} {when}", migration.number, migration.name);
            }
        }
        SchemaCommand::Rollback { to } => {
            let undone = schema::rollback(&mut owner, to).await.map_err(explained)?;
            undone.iter().for_each(|migration| println!("undone {:04}_{}", migration.number, migration.name));
        }
    }
    opened.close().await;
    Ok(ExitCode::SUCCESS)
}

/// With what Postgres said, which stands in the error's source.
fn explained(error: schema::SchemaError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
