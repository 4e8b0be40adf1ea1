//! kill -9 at any moment, of the server or of its database: no acknowledged change lost, none twice, nobody booked twice at
//! a time, rows and totals as they were told; in scale mode streams without gap, and each projection exactly what a fresh
//! fold of the events is.

mod front_ends;
mod rows;
mod truth;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codeccloud::clock::SystemIds;
use codeccloud_actors::ports::Ids;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Mode, Server, TestDir, in_both_modes};
use front_ends::{FrontEnds, Random};

in_both_modes!(
    nothing_acknowledged_is_lost_when_the_server_is_killed,
    the_database_may_be_killed_under_load_and_comes_back_by_itself,
);

/// Saved often, so that starts go on from a checkpoint, and so that what is in memory can be looked at.
const SAVING: [(&str, &str); 2] =
    [("CODECCLOUD_PROJECTIONS_SAVE_EVERY_SECONDS", "1"), ("CODECCLOUD_PROJECTIONS_SAVE_EVERY_EVENTS", "100")];

/// Kills of the database, one after the other under the same server.
const DATABASE_KILLS: u64 = 4;

async fn nothing_acknowledged_is_lost_when_the_server_is_killed(mode: Mode) {
    let rounds: u64 = variable("ROUNDS").unwrap_or(20);
    let (dir, mut random) = (TestDir::new(), random());
    let mut server = mode.start_with(dir.path(), &SAVING);
    server.ready().await;
    let front_ends = FrontEnds::of(&server, dir.path()).await;
    for round in 0..rounds {
        let killing = async {
            tokio::time::sleep(Duration::from_millis(20 + random.below(400))).await;
            kill(server.pid(), Signal::SIGKILL).unwrap();
            front_ends.call_it_a_day();
        };
        futures_util::join!(front_ends.work(&server, round), killing);
        server.kill_9();
        server = mode.start_with(dir.path(), &SAVING);
        server.ready().await;
        front_ends.ask_again(&server).await;
        check(mode, dir.path(), &server, &front_ends).await;
    }
    assert!(front_ends.acknowledged() > 4 * usize::try_from(rounds).unwrap(), "the load was no load");
}

/// Meanwhile writes say when to come back, and reads go on from memory.
async fn the_database_may_be_killed_under_load_and_comes_back_by_itself(mode: Mode) {
    let (dir, mut random) = (TestDir::new(), random());
    let server = mode.start_with(dir.path(), &SAVING);
    server.ready().await;
    let front_ends = FrontEnds::of(&server, dir.path()).await;
    let reads_while_away = AtomicUsize::new(0);
    for round in 0..DATABASE_KILLS {
        let killing = async {
            tokio::time::sleep(Duration::from_millis(300 + random.below(500))).await;
            kill(postmaster(dir.path()), Signal::SIGKILL).unwrap();
            // Not before the absence was felt; then as long again as it takes to be back.
            front_ends.refused_once_more().await;
            for _ in 0..(if mode == Mode::Scale { 3 } else { 0 }) {
                reads_while_away.fetch_add(front_ends.read(&server).await, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(random.below(1_000))).await;
            front_ends.call_it_a_day();
        };
        futures_util::join!(front_ends.work(&server, round), killing);
        check(mode, dir.path(), &server, &front_ends).await;
    }
    assert!(front_ends.acknowledged() > 100, "the load was no load");
    assert!(mode == Mode::Mvp || reads_while_away.into_inner() > 0, "nothing was read");
}

/// The tables, which both modes keep, and what only events tell.
async fn check(mode: Mode, data_dir: &Path, server: &Server, front_ends: &FrontEnds) {
    rows::check(data_dir, server, front_ends).await;
    if mode == Mode::Scale {
        truth::check(data_dir, server, front_ends).await;
    }
}

/// From `SEED`, to see again what has been seen once.
fn random() -> Random {
    let seed = variable("SEED").unwrap_or_else(|| SystemIds.uuid().as_u64_pair().1);
    println!("SEED={seed}");
    Random::new(seed)
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn postmaster(data_dir: &Path) -> Pid {
    let pid_file = std::fs::read_to_string(data_dir.join("postgres/cluster/postmaster.pid")).unwrap();
    Pid::from_raw(pid_file.lines().next().unwrap().parse().unwrap())
}
