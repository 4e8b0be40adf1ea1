use std::process::ExitCode;

use super::Outcome;
use super::tenant::load_access;
use crate::load::{self, LoadArgs, read_token_file};
use crate::settings::Settings;

/// Against a server of this machine, tenants and tokens are made through its database; against any other, they come from
/// `--token-file`.
pub(super) fn run(settings: Settings, args: LoadArgs) -> Outcome {
    // One thread: it often shares its cores with what it measures.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async move {
        let access = match &args.token_file {
            Some(file) => read_token_file(file)?,
            None => {
                let settings = if settings.is_embedded() { settings.with_generated_secrets()? } else { settings };
                let access = load_access(&settings, args.tenants, args.staff).await?;
                // The server notices new reference data by itself, within a second at the latest.
                tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
                access
            }
        };
        let report = load::run(&args, access).await?;
        if args.json {
            println!("{}", report.to_json());
        } else {
            println!("{report}");
        }
        Ok(ExitCode::from(load::exit_code(&report)))
    })
}
