//! Memory: of an idle server, and of a hundred thousand active actors.

use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use codeccloud_actors::aggregate::Context;
use codeccloud_actors::aggregates::loyalty_balance::LoyaltyCommand;
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{BookingId, CustomerId, StaffId};
use codeccloud_actors::money::{Currency, Money};
use codeccloud_actors::runtime::Runtime;
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::{HAIRCUT, context, salon, slot, staff_member};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::database::{self, BenchDatabase, BenchDir};
use super::hot_stream::submission;
use super::server::{Server, resident};
use super::table::{Bar, Table};

const DATABASE_URL: &str = "BENCH_ACTORS_DATABASE_URL";
/// A third each of bookings, staff members and customers.
const ACTORS: usize = 100_000;

pub async fn measure(table: &mut Table) {
    let server = Server::start(BenchDir::new());
    tokio::time::sleep(Duration::from_secs(3)).await;
    table.record("memory of an idle server", "MiB", server.resident(), Bar::AtMost(100.0));
    server.stop();

    let database = BenchDatabase::create().await;
    database.retire(&[salon().tenant_id.0]).await;
    let this = std::env::current_exe().expect("a program has a path");
    let output = Process::new(this).env(DATABASE_URL, database.url()).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mib: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    table.record("memory of 100,000 active actors", "MiB", mib, Bar::AtMost(400.0));
    database.stop().await;
}

pub fn is_asked_for() -> Option<String> {
    std::env::var(DATABASE_URL).ok()
}

/// Books with everyone, confirms every booking and gives every customer a point; prints the process's memory, with all of
/// their actors active.
pub fn wake_all(url: &str) {
    actix::System::new().block_on(async {
        let (runtime, _snapshots) = database::runtime(&database::database(url));
        let each = ACTORS.div_ceil(3);
        let mut reference = salon();
        reference.staff = (0..each).map(|number| (staff(number), staff_member(staff(number)))).collect();
        let context = context(reference);
        let next = Arc::new(AtomicU32::new(0));
        let mut running = JoinSet::new();
        for _ in 0..256 {
            let (runtime, context, next) = (runtime.clone(), context.clone(), next.clone());
            running.spawn_local(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed) as usize;
                    if number >= each {
                        return;
                    }
                    wake(&runtime, &context, number).await;
                }
            });
        }
        while let Some(caller) = running.join_next().await {
            caller.expect("no caller panics");
        }
        assert!(runtime.active_actors() >= ACTORS, "{} are active", runtime.active_actors());
        println!("{}", resident(std::process::id()));
    });
}

async fn wake(runtime: &Runtime, context: &Context, number: usize) {
    let (booking_id, customer_id) = (BookingId(id(2, number)), CustomerId(id(3, number)));
    let create = BookingCommand::Create {
        booking_id,
        staff_id: staff(number),
        service_id: HAIRCUT,
        customer_id,
        slot: slot("2027-06-02T09:00:00+02:00", 60),
        price: Money { currency: Currency::Chf, amount: 8_000 },
    };
    let adjust = LoyaltyCommand::Adjust { adjustment_id: id(4, number), points: 1 };
    for command in [
        Command::Booking(booking_id, create),
        Command::Booking(booking_id, BookingCommand::Confirm),
        Command::LoyaltyBalance(customer_id, adjust),
    ] {
        let executed = runtime.execute(submission(command, context)).await.expect("commits");
        assert_eq!(executed.answer.status, 200, "nothing is refused");
    }
}

fn staff(number: usize) -> StaffId {
    StaffId(id(1, number))
}

fn id(kind: u128, number: usize) -> Uuid {
    Uuid::from_u128(kind << 64 | number as u128)
}
