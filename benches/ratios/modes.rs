//! Bookings a second through the door in MVP mode and in scale mode, which writes the same rows besides its events, and
//! beside them the transaction that the MVP makes of a booking, in pgbench on a database as deployments have it.

use super::database::BenchDir;
use super::mvp::{MvpDatabase, Shape};
use super::server::Server;
use super::table::{Bar, Rounds, Table};

const ROUNDS: usize = 3;
const SECONDS: u32 = 6;

const SHAPES: [Shape; 3] =
    [Shape { salons: 1, staff: 50 }, Shape { salons: 1, staff: 1_000 }, Shape { salons: 20, staff: 50 }];

pub async fn measure(table: &mut Table) {
    let (mvp, scale) = (Server::in_mode(BenchDir::new(), "off"), Server::in_mode(BenchDir::new(), "on"));
    for shape in SHAPES {
        let bare = MvpDatabase::create(shape).await;
        // The first run makes the salons and warms everything up.
        for server in [&mvp, &scale] {
            bookings(server, shape, 0).await;
        }
        bare.bookings_per_second(SECONDS).await;
        let (mut beside_bare, mut beside_mvp) = (Rounds::default(), Rounds::default());
        for round in 1..=ROUNDS {
            let in_mvp = bookings(&mvp, shape, round).await;
            let in_scale = bookings(&scale, shape, round).await;
            beside_bare.push(in_mvp, bare.bookings_per_second(SECONDS).await);
            beside_mvp.push(in_scale, in_mvp);
        }
        let Shape { salons, staff } = shape;
        table.compare(
            format!("MVP mode, {salons} x {staff} staff"),
            "bookings/s",
            &beside_bare,
            Bar::RatioAtLeast(0.7),
        );
        table.compare(
            format!("scale mode, {salons} x {staff} staff"),
            "bookings/s",
            &beside_mvp,
            Bar::RatioAtLeast(1.5),
        );
        bare.stop().await;
    }
    mvp.stop();
    scale.stop();
}

async fn bookings(server: &Server, shape: Shape, seed: usize) -> f64 {
    let (salons, staff) = (shape.salons.to_string(), shape.staff.to_string());
    let (seed, seconds) = (seed.to_string(), SECONDS.to_string());
    let of = ["--tenants", &salons, "--staff", &staff, "--seed", &seed, "--duration", &seconds];
    let load = ["--max", "--connections", "256", "--horizon-days", "730", "--no-check"];
    let report = server.load(&[&load[..], &of[..]].concat()).await;
    report["bookingsPerSecond"].as_f64().expect("a number")
}
