//! An ordinary booking on an idle server, one at a time, against a bare commit.

use std::time::Instant;

use super::database::BenchDir;
use super::server::Server;
use super::table::{Bar, Rounds, Table, median};

const ROUNDS: usize = 5;
const COMMITS: usize = 300;

pub async fn measure(table: &mut Table) {
    let server = Server::start(BenchDir::new());
    let client = server.superuser().await;
    client
        .batch_execute("create schema bare; create table bare.commits (id bigserial primary key, body text not null)")
        .await
        .expect("made");
    let insert = client.prepare("insert into bare.commits (body) values ($1)").await.expect("valid");
    let body = "x".repeat(400);
    let mut rounds = Rounds::default();
    for round in 0..ROUNDS {
        let seed = round.to_string();
        let load = ["--max", "--connections", "1", "--duration", "2", "--no-check", "--seed", &seed];
        let report = server.load(&load).await;
        let booking = report["kinds"]["book"]["latencyMicros"]["p50"].as_f64().expect("a number") / 1e3;
        let mut commits = Vec::with_capacity(COMMITS);
        for _ in 0..COMMITS {
            let began = Instant::now();
            client.execute(&insert, &[&body]).await.expect("commits");
            commits.push(began.elapsed().as_secs_f64() * 1e3);
        }
        rounds.push(booking, median(&commits));
    }
    table.compare("latency of one booking, median", "ms", &rounds, Bar::RatioAtMost(4.0));
    server.stop();
}
