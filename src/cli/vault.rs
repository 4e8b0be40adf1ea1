use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Subcommand;

use super::Outcome;
use super::access::Opened;
use crate::app;
use crate::clock::SystemClock;
use crate::postgres::{DatabaseRole, PostgresVault, rewrap_webhook_secrets, vault_tenants_not_under};
use crate::settings::Settings;
use crate::vault::{Rewrapped, Vault};

#[derive(Subcommand)]
pub(super) enum VaultCommand {
    /// Bring all customers' keys, and the secrets of webhooks, under the current master key, so that the previous ones may go
    Rotate,
}

pub(super) async fn run(settings: Settings, command: VaultCommand) -> Outcome {
    let settings = if settings.is_embedded() { settings.with_generated_secrets()? } else { settings };
    let opened = Opened::new(&settings).await?;
    let outcome = match command {
        VaultCommand::Rotate => rotate(&settings, &opened).await,
    };
    opened.close().await;
    outcome
}

/// What it has done stays done: started again, it goes on with what is left.
async fn rotate(settings: &Settings, opened: &Opened) -> Outcome {
    let keys = app::master_keys(settings)?;
    let current = keys.current_id().to_owned();
    let reader = opened.client(DatabaseRole::Reader).await?;
    let (tenants, wanted) = vault_tenants_not_under(&reader, &current).await?;
    let (webhooks, unreadable) = rewrap_webhook_secrets(&opened.client(DatabaseRole::Outbox).await?, &keys).await?;
    let pool = opened.database.pool(DatabaseRole::Vault, 4, Duration::from_secs(5));
    let vault = Vault::new(keys, Arc::new(PostgresVault::new(pool)), Arc::new(SystemClock));
    let mut told = Instant::now();
    let done = vault.rewrap_all(&tenants, |done: Rewrapped| {
        if told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            eprintln!("{} of {wanted} customers", done.customers);
        }
    });
    let done = done.await?;
    let (_, left) = vault_tenants_not_under(&reader, &current).await?;
    println!("{} customers and {webhooks} webhooks were brought under the master key {current}", done.customers);
    if unreadable > 0 {
        eprintln!("the secrets of {unreadable} webhooks can't be read with the keys that there are");
        return Ok(ExitCode::FAILURE);
    }
    if left > 0 {
        eprintln!(
            "{left} customers came under another key meanwhile: give all servers the new one, then run this again"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
