use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Subcommand;
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::time::Timestamp;
use serde_json::json;

use super::Outcome;
use super::access::Opened;
use crate::app;
use crate::audit::{Anchor, Finding};
use crate::postgres::{DatabaseRole, audit, tenants};
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Compare the audit log with its seals, and name every entry that is not as it was sealed
    Verify {
        /// Only what is, or may be, about this tenant: slug or id
        #[arg(long)]
        tenant: Option<String>,
        /// A JSON document a line: each finding, and in the end what was looked at
        #[arg(long)]
        json: bool,
        /// Succeed even where no seal is noted outside of the database: an end that was cut off is not found then
        #[arg(long)]
        without_note: bool,
    },
    /// Write a tenant's entries as JSON, one a line, oldest first
    Export {
        /// Slug or id
        #[arg(long)]
        tenant: String,
        /// From this time on, such as 2030-01-01T00:00:00Z
        #[arg(long, default_value_t = Timestamp::MIN)]
        from: Timestamp,
        /// Before this time
        #[arg(long, default_value_t = Timestamp::MAX)]
        to: Timestamp,
    },
}

pub(super) async fn run(settings: Settings, command: AuditCommand) -> Outcome {
    let settings = if settings.is_embedded() { settings.with_generated_secrets()? } else { settings };
    let opened = Opened::new(&settings).await?;
    let outcome = match command {
        AuditCommand::Verify { tenant, json, without_note } => {
            let verified = verify(&settings, &opened, tenant, json).await;
            verified.map(|verified| verified.code(without_note))
        }
        AuditCommand::Export { tenant, from, to } => export(&opened, &tenant, from, to).await,
    };
    opened.close().await;
    outcome
}

struct Verified {
    findings: u64,
    is_noted: bool,
}

impl Verified {
    /// Without the note nobody knows where the log ended, and what can't be found is not to look like what isn't there.
    fn code(&self, without_note: bool) -> ExitCode {
        if self.findings == 0 && (self.is_noted || without_note) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Findings are printed as they come: a log that was tampered with throughout has more of them than fit into memory.
async fn verify(
    settings: &Settings,
    opened: &Opened,
    tenant: Option<String>,
    as_json: bool,
) -> Result<Verified, Box<dyn std::error::Error>> {
    let settings = app::sealer_settings(settings)?;
    let anchor = Anchor::read(&settings.anchor).map_err(|error| format!("{}: {error}", settings.anchor.display()))?;
    if anchor.is_none() {
        let file = settings.anchor.display();
        eprintln!("{file} is not there, so an end that was cut off is not found (--without-note does without it)");
    }
    let only = match &tenant {
        Some(tenant) => Some(tenant_id(opened, tenant).await?),
        None => None,
    };
    let mut findings = 0_u64;
    let found = |finding: Finding| {
        if only.is_some_and(|tenant_id| !finding.may_concern(tenant_id)) {
            return;
        }
        findings += 1;
        if as_json {
            println!("{}", json!(finding));
        } else {
            println!("{finding}");
        }
    };
    let (mut compared, mut told) = (0, Instant::now());
    let progress = |entries: u64| {
        compared += entries;
        if told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            eprintln!("{compared} entries");
        }
    };
    let mut client = opened.client(DatabaseRole::Sealer).await?;
    let summary = audit::verify(&mut client, &settings.keys, anchor.as_ref(), found, progress).await?;
    if only.is_none()
        && let Err(error) = audit::record(&client, summary, findings).await
    {
        eprintln!("the servers' metrics will not show this verification: {}", crate::postgres::described(&error));
    }
    let (seals, entries, unsealed) = (summary.last_seal, summary.entries, summary.unsealed);
    if as_json {
        let noted_seal = anchor.as_ref().map(|anchor| anchor.number);
        let summary = json!({
            "seals": seals, "entries": entries, "unsealed": unsealed, "findings": findings, "notedSeal": noted_seal
        });
        println!("{summary}");
    } else {
        println!("{entries} entries under {seals} seals, {unsealed} not sealed yet: {findings} findings");
    }
    Ok(Verified { findings, is_noted: anchor.is_some() })
}

async fn export(opened: &Opened, tenant: &str, from: Timestamp, to: Timestamp) -> Outcome {
    let tenant_id = tenant_id(opened, tenant).await?;
    let mut client = opened.client(DatabaseRole::Sealer).await?;
    let mut output = BufWriter::new(std::io::stdout().lock());
    let written = audit::export(&mut client, tenant_id, from, to, |entry| {
        serde_json::to_writer(&mut output, &entry)?;
        output.write_all(b"\n")
    });
    written.await??;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn tenant_id(opened: &Opened, tenant: &str) -> Result<TenantId, Box<dyn std::error::Error>> {
    let operator = opened.client(DatabaseRole::Operator).await?;
    let found = tenants::find(&operator, tenant).await?;
    Ok(found.ok_or_else(|| format!("there is no tenant {tenant}"))?.id)
}
