//! What a run is asked to do, and the file that says as whom.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::{LoadError, TenantAccess};

#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Base URL of the server under test (http only)
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Open loop: requests a second, sent on schedule whether or not earlier ones are answered
    #[arg(long, value_parser = positive, required_unless_present = "max", conflicts_with = "max")]
    pub rate: Option<f64>,
    /// Closed loop: each connection sends as soon as it has its answer
    #[arg(long)]
    pub max: bool,
    /// How arrivals of --rate are spaced
    #[arg(long, value_enum, default_value_t = Spacing::Even)]
    pub arrivals: Spacing,
    /// Keep-alive connections, one request at a time on each
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: u32,
    /// Seconds to send for
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub duration: f64,
    /// Tenants to act for: the first so many of those with a token
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub tenants: u32,
    /// Staff members to book in each tenant: the first so many that it lists
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub staff: u32,
    /// Days, from tomorrow, that bookings are spread over
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub horizon_days: u16,
    /// The UTC hours that bookings lie in, such as 8-18. The staff's own working hours are the server's to know
    #[arg(long, default_value = "8-18", value_parser = hours)]
    pub hours: Hours,
    /// Share of the bookings that aim at a few popular slots, most of which are taken
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub hot_share: f64,
    /// Share of the requests that read: availability, one booking, a day's list
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub reads: f64,
    /// The same seed plans the same slots, customers and mix
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A file with one line `TENANT_ID TOKEN` for each tenant to act for
    #[arg(long)]
    pub token_file: Option<PathBuf>,
    /// Print the summary as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Verify afterwards that each acknowledged booking exists exactly once and that none overlap (the default)
    #[arg(long, overrides_with = "no_check")]
    pub check: bool,
    /// Skip the final check
    #[arg(long, overrides_with = "check")]
    pub no_check: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spacing {
    /// Equal gaps
    Even,
    /// Random gaps, as independent customers make them
    Poisson,
}

/// A stretch of every day, in minutes since midnight UTC. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub opens_minute: u16,
    pub closes_minute: u16,
}

/// Reads `TENANT_ID TOKEN` lines. Empty lines and those that begin with `#` are skipped.
pub fn read_token_file(path: &Path) -> Result<Vec<TenantAccess>, LoadError> {
    let fault = |line, why: &str| LoadError::TokenFile { path: path.to_owned(), line, why: why.to_owned() };
    let text = std::fs::read_to_string(path).map_err(|error| fault(0, &error.to_string()))?;
    let mut access = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (tenant, token) = line.split_once(char::is_whitespace).ok_or_else(|| fault(number, "no token"))?;
        let tenant_id = Uuid::parse_str(tenant).map_err(|_| fault(number, "the tenant is no UUID"))?;
        access.push(TenantAccess { tenant_id, token: token.trim().to_owned() });
    }
    Ok(access)
}

fn positive(text: &str) -> Result<f64, String> {
    let valid = |number: &f64| number.is_finite() && *number > 0.0;
    text.parse().ok().filter(valid).ok_or_else(|| "must be a number above 0".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "must lie between 0 and 1".to_owned())
}

fn hours(text: &str) -> Result<Hours, String> {
    let minutes = |hour: &str| hour.parse().ok().filter(|&hour: &u16| hour <= 24).map(|hour| hour * 60);
    let ends = text.split_once('-').and_then(|(opens, closes)| minutes(opens).zip(minutes(closes)));
    ends.filter(|(opens, closes)| opens < closes)
        .map(|(opens_minute, closes_minute)| Hours { opens_minute, closes_minute })
        .ok_or_else(|| "must be two hours of a day, such as 8-18".to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The arguments as a shell would pass them, split at spaces.
    pub fn parsed(words: &str) -> Result<LoadArgs, clap::Error> {
        use clap::FromArgMatches;
        let command = LoadArgs::augment_args(clap::Command::new("load").no_binary_name(true));
        LoadArgs::from_arg_matches(&command.try_get_matches_from(words.split_whitespace())?)
    }

    #[test]
    fn a_run_is_either_paced_or_as_fast_as_it_goes() {
        assert!(parsed("").is_err());
        assert!(parsed("--rate 5 --max").is_err());
        assert!(parsed("--rate 0").is_err());
        assert!(parsed("--max --reads 1.1").is_err());
        for hours in ["18-8", "8-25", "8", "-8"] {
            assert!(parsed(&format!("--max --hours={hours}")).is_err(), "{hours}");
        }
        let to_midnight = Hours { opens_minute: 540, closes_minute: 1_440 };
        assert_eq!(parsed("--max --hours 9-24").expect("valid").hours, to_midnight);
        assert_eq!(parsed("--rate 2.5").expect("valid").rate, Some(2.5));
        let last_wins = parsed("--max --no-check --check").expect("valid");
        assert!(last_wins.check && !last_wins.no_check);
    }

    #[test]
    fn a_token_file_names_its_faulty_line() {
        let path = std::env::temp_dir().join(format!("load-tokens-{}", std::process::id()));
        let tenant = Uuid::from_u64_pair(1, 2);
        std::fs::write(&path, format!("# demo\n{tenant} secret\n\nnonsense\n")).expect("written");
        let fault = read_token_file(&path).expect_err("line 4 has no token").to_string();
        std::fs::write(&path, format!("{tenant}\tsecret\n")).expect("written");
        let access = read_token_file(&path).expect("valid");
        std::fs::remove_file(&path).expect("removed");
        assert!(fault.contains("line 4"), "{fault}");
        assert_eq!((access[0].tenant_id, access[0].token.as_str()), (tenant, "secret"));
    }
}
