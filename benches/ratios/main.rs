//! The ratios that the server is held to, each measured in one run against the barest way to do the same on the same
//! machine. `benches/README.md` says what is compared with what. To add one: a module and a line in [`main`].
//!
//! `cargo bench --bench ratios -- NAME…` measures only those whose name contains one of the words.

mod availability;
mod bare_journal;
mod bookings;
mod constant;
mod database;
mod hot_stream;
mod journal;
mod latency;
mod memory;
mod modes;
mod mvp;
mod raw;
mod replay;
mod server;
mod start_up;
mod table;
mod waking;

use std::time::Duration;

use table::Table;

/// How long one side of a comparison runs in one round.
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;

fn main() {
    // Two comparisons need a process of their own, which is this program once more.
    if constant::is_asked_for() {
        return constant::serve();
    }
    if let Some(url) = memory::is_asked_for() {
        return memory::wake_all(&url);
    }
    // Cargo adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let threads = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime starts")
    };
    actix::System::with_tokio_rt(threads).block_on(async {
        let mut table = Table::new(wanted);
        if table.wants("journal") {
            journal::measure(&mut table).await;
        }
        if table.wants("hot stream") {
            hot_stream::measure(&mut table).await;
        }
        if table.wants("bookings") {
            bookings::measure(&mut table).await;
        }
        if table.wants("modes") {
            modes::measure(&mut table).await;
        }
        if table.wants("availability") {
            availability::measure(&mut table).await;
        }
        if table.wants("latency") {
            latency::measure(&mut table).await;
        }
        if table.wants("replay") {
            replay::measure(&mut table).await;
        }
        if table.wants("waking") {
            waking::measure(&mut table).await;
        }
        if table.wants("memory") {
            memory::measure(&mut table).await;
        }
        if std::env::var_os("BENCH_LONG").is_some() && table.wants("start-up") {
            start_up::measure(&mut table).await;
        }
        println!("\n{table}");
    });
}
