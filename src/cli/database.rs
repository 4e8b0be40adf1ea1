use std::process::ExitCode;

use clap::Subcommand;
use tokio_postgres::config::Host;

use super::Outcome;
use super::access::Opened;
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum DatabaseCommand {
    /// Print the URL to connect with, for psql for example
    Url {
        /// Of the embedded database's superuser, who sees every row
        #[arg(long)]
        superuser: bool,
    },
    /// Run a program such as pg_dump as the embedded database's superuser; the database is started where no server runs
    Run {
        /// The program and its arguments; it finds the database by itself
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

pub(super) async fn run(settings: Settings, command: DatabaseCommand) -> Outcome {
    let opened = Opened::new(&settings).await?;
    let outcome = match command {
        DatabaseCommand::Url { superuser } => print_url(&settings, &opened, superuser),
        DatabaseCommand::Run { command } => run_program(&settings, &opened, &command).await,
    };
    opened.close().await;
    outcome
}

fn print_url(settings: &Settings, opened: &Opened, superuser: bool) -> Outcome {
    let url = if superuser { opened.superuser_url(settings)? } else { opened.url.clone() };
    println!("{url}");
    Ok(ExitCode::SUCCESS)
}

/// PostgreSQL's programs take the database from the environment.
async fn run_program(settings: &Settings, opened: &Opened, command: &[String]) -> Outcome {
    let config: tokio_postgres::Config = opened.superuser_url(settings)?.parse()?;
    let (program, arguments) = command.split_first().ok_or("a program is missing")?;
    let mut child = tokio::process::Command::new(program);
    child.args(arguments);
    if let Some(Host::Unix(directory)) = config.get_hosts().first() {
        child.env("PGHOST", directory);
    }
    child.env("PGUSER", config.get_user().unwrap_or_default());
    child.env("PGDATABASE", config.get_dbname().unwrap_or_default());
    let status = child.status().await.map_err(|error| format!("{program}: {error}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
