//! The command line.

mod access;
mod adoption;
mod audit;
mod database;
mod load;
mod outbox;
mod projections;
mod schema;
mod serve;
mod tenant;
mod vault;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::load::LoadArgs;
use crate::settings::{self, Fault, Settings, Source, Sources};

#[derive(Parser)]
#[command(name = "codeccloud", version, about = "The booking backend of CodecCloud")]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What all commands take.
#[derive(Args)]
struct Common {
    /// A TOML file with settings; see config/default.toml
    #[arg(long, global = true, value_name = "FILE", env = "CODECCLOUD_CONFIG")]
    config: Option<PathBuf>,
    /// Where the embedded database and generated secrets live
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Any other setting, such as journal.lanes=4; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server
    Serve(serve::ServeArgs),
    /// Print a token for a tenant, its user made a member where the role asks for it; or revoke a user's tokens
    Token(tenant::TokenArgs),
    /// Create and list tenants
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// About the database
    #[command(subcommand)]
    Database(database::DatabaseCommand),
    /// The database's schema
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// The read models
    #[command(subcommand)]
    Projections(projections::ProjectionsCommand),
    /// What is to be told to customers and webhooks
    #[command(subcommand)]
    Outbox(outbox::OutboxCommand),
    /// Where personal data lives
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// The log of all changes
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Book as fast, or as steadily, as asked, and check the outcome
    Load(LoadArgs),
}

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = match load_settings(&cli) {
        Ok(settings) => settings,
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("{fault}"));
            return ExitCode::from(2);
        }
    };
    let outcome = match cli.command {
        Command::Serve(args) => serve::run(settings, &args),
        Command::Token(args) => access::block_on(tenant::token(settings, args)),
        Command::Tenant(command) => access::block_on(tenant::run(settings, command)),
        Command::Database(command) => access::block_on(database::run(settings, command)),
        Command::Schema(command) => access::block_on(schema::run(settings, command)),
        Command::Projections(command) => access::block_on(projections::run(settings, command)),
        Command::Outbox(command) => access::block_on(outbox::run(settings, command)),
        Command::Vault(command) => access::block_on(vault::run(settings, command)),
        Command::Audit(command) => access::block_on(audit::run(settings, command)),
        Command::Load(args) => load::run(settings, args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("codeccloud: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever a command fails with, in a sentence for the person who typed it.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn load_settings(cli: &Cli) -> Result<Settings, Vec<String>> {
    let mut flags: Vec<(&str, String)> = Vec::new();
    if let Some(data_dir) = &cli.common.data_dir {
        flags.push(("data.dir", data_dir.display().to_string()));
    }
    if let Command::Serve(args) = &cli.command
        && let Some(listen) = &args.listen
    {
        flags.push(("server.listen", listen.clone()));
    }
    let mut malformed = Vec::new();
    for pair in &cli.common.set {
        match pair.split_once('=') {
            Some((key, value)) => flags.push((key, value.to_owned())),
            None => malformed.push(Fault {
                source: Source::Flag,
                key: pair.clone(),
                problem: "--set takes KEY=VALUE".to_owned(),
            }),
        }
    }
    let mut sources = Sources::of_process(cli.common.config.clone(), &flags);
    sources.faults.append(&mut malformed);
    let loaded = match cli.command {
        Command::Serve(_) => settings::load_for_start(sources),
        Command::Token(_)
        | Command::Tenant(_)
        | Command::Database(_)
        | Command::Schema(_)
        | Command::Projections(_)
        | Command::Outbox(_)
        | Command::Vault(_)
        | Command::Audit(_)
        | Command::Load(_) => settings::load(sources),
    };
    loaded.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}
