//! The load tester: a client that knows the wire contract and nothing else of the server.
//!
//! It measures without coordinated omission ([`arrivals`]), asks for slots that are free unless told to fight over
//! popular ones ([`plan`]), and afterwards holds the server to every booking that it acknowledged ([`check`]). It is
//! thrifty, because it often shares its cores with what it measures: run it on a current-thread runtime.
//!
//! A new kind of request is a variant of [`requests::Kind`] and its bytes in [`requests::Planner`].

mod args;
mod arrivals;
mod cast;
mod check;
mod client;
mod plan;
mod random;
mod reader;
mod recorder;
mod report;
mod requests;
#[cfg(test)]
mod tests;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::time::Timestamp;
use tokio::task::JoinSet;
use uuid::Uuid;

pub use args::{Hours, LoadArgs, Spacing, read_token_file};
pub use check::Verdict;
pub use client::ExchangeError;
pub use report::{KindReport, Latency, Report};
pub use requests::Kind;

use arrivals::Pacer;
use cast::Cast;
use client::Target;
use plan::{Horizon, Slots};
use random::Random;
use recorder::{Recorder, show_live};
use report::Outcome;
use requests::{Acknowledged, Planner};
use worker::{Run, Worker};

/// A tenant to act for, and a token that may book and read there.
#[derive(Debug, Clone)]
pub struct TenantAccess {
    pub tenant_id: Uuid,
    pub token: String,
}

/// Why a run could not start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the URL {url} {why}")]
    Url { url: String, why: &'static str },
    #[error("{}, line {line}: {why}", path.display())]
    TokenFile { path: PathBuf, line: u32, why: String },
    #[error("--tenants asks for {asked}, but there are tokens for {given}")]
    TooFewTenants { asked: u32, given: usize },
    #[error("the token of tenant {tenant} can't be sent in a header")]
    Token { tenant: TenantId },
    #[error("tenant {tenant} lists nobody who performs a service that fits into --hours")]
    NobodyToBook { tenant: TenantId },
    #[error("GET {path} got no answer: {why}")]
    NoAnswer { path: String, why: String },
    #[error("GET {path} was refused with {status}: {body}")]
    Refused { path: String, status: u16, body: String },
    #[error("GET {path} answered something else than the contract says: {error}")]
    Malformed { path: String, error: serde_json::Error },
}

/// Runs the load that `args` ask for, as the tenants in `access` and in the token file, and checks what it did. Shows
/// its progress on standard error; printing the report is the caller's.
pub async fn run(args: &LoadArgs, mut access: Vec<TenantAccess>) -> Result<Report, LoadError> {
    let target = Arc::new(Target::parse(&args.url)?);
    if let Some(path) = &args.token_file {
        access.extend(read_token_file(path)?);
    }
    let tenants = usize::try_from(args.tenants).expect("32 bits fit");
    let chosen = access.get(..tenants).ok_or(LoadError::TooFewTenants { asked: args.tenants, given: access.len() })?;
    let now = now();
    let staff = usize::try_from(args.staff).expect("32 bits fit");
    let cast = Arc::new(Cast::discover(target, chosen, staff, args.hours).await?);
    let horizon = Horizon::from_tomorrow(Timestamp::from_jiff(now), args.horizon_days, args.hours);
    let mut slots = Slots::new(horizon, cast.people.len());
    check::occupy_booked(&cast, horizon, &mut slots).await?;
    let run = Arc::new(Run {
        planner: Planner::new(args, cast.clone(), horizon, slots),
        pacer: Pacer::start(args),
        recorder: Mutex::new(Recorder::empty()),
        nonce: Random::new(nonce_seed(now), u64::from(std::process::id())).draw(),
    });
    let acknowledged = send(&run, args).await;
    let elapsed = run.pacer.elapsed();
    let verdict = if args.no_check { None } else { Some(check::check(&cast, horizon, &acknowledged).await) };
    let outcome = Outcome {
        tenants: cast.tenants.len(),
        people: cast.people.len(),
        elapsed,
        unsent: run.pacer.unsent(),
        slots_handed_out: run.planner.slots_handed_out(),
        horizon_exhausted: run.pacer.stopped(),
        check: verdict,
    };
    let recorder = run.recorder.lock().expect("no panic under the lock");
    Ok(Report::new(args, &recorder, outcome))
}

/// What a process that ran this should exit with: 1 when the check failed. Refused requests are results, not failures.
pub fn exit_code(report: &Report) -> u8 {
    u8::from(report.check_failed())
}

/// Keeps every connection busy until the run is over; answers all that was acknowledged.
async fn send(run: &Arc<Run>, args: &LoadArgs) -> Vec<Acknowledged> {
    let live = tokio::spawn(show_live(run.clone()));
    let mut workers: JoinSet<Vec<Acknowledged>> =
        (0..args.connections).map(|number| Worker::new(run.clone(), number, args.seed).work()).collect();
    let mut acknowledged = Vec::new();
    while let Some(worker) = workers.join_next().await {
        acknowledged.append(&mut worker.expect("workers neither panic nor are cancelled"));
    }
    live.abort();
    recorder::end_live_line();
    acknowledged
}

#[expect(clippy::disallowed_methods, reason = "a client books in the real tomorrow")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn nonce_seed(now: jiff::Timestamp) -> u64 {
    let nanoseconds = now.as_nanosecond().unsigned_abs();
    u64::try_from(nanoseconds & u128::from(u64::MAX)).expect("masked")
}
