//! The law of the two modes: for any sequence of commands, rows written in MVP mode are those of dual write, and those made
//! anew from events.

mod figures;
mod first_capability;
mod pair;
mod reads;
mod rows;
mod stock;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use self::pair::{Pair, Step, Time};
use self::rows::{Rows, superuser};
use self::stock::{each_kind, stock_step};
use crate::support::{Mode, TestDir, totals};

/// Cases of commands; each takes two salons of its own.
const CASES: u32 = 12;

const CURRENCIES: [&str; 2] = ["CHF", "EUR"];

fn time() -> impl Strategy<Value = Time> {
    let edge = (0..Time::EDGES.len(), 0..16_i64);
    prop_oneof![
        (0..3_i64, 0..12_i64).prop_map(|(day, number)| Time::Workday { day, number }),
        edge.prop_map(|(edge, quarters)| Time::Edge { at: Time::EDGES[edge], quarters }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let nth = 0..6_usize;
    let step = prop_oneof![
        6 => (0..3_usize, time(), any::<bool>()).prop_map(|(person, time, in_euro)| {
            Step::Book { person, time, currency: CURRENCIES[usize::from(in_euro)] }
        }),
        3 => (nth.clone(), time()).prop_map(|(nth, time)| Step::Move { nth, time }),
        1 => (nth.clone(), any::<bool>()).prop_map(|(nth, waive_fee)| Step::Cancel { nth, waive_fee }),
        4 => (nth.clone(), 0..4_usize).prop_map(|(nth, which)| {
            Step::Advance { nth, step: ["confirm", "check-in", "complete", "no-show"][which] }
        }),
        1 => (nth.clone(), 1..60_u32).prop_map(|(nth, points)| Step::Redeem { nth, points }),
        1 => (nth, -30..60_i32).prop_map(|(nth, points)| Step::Adjust { nth, points }),
        6 => stock_step().prop_map(Step::Stock),
    ];
    prop::collection::vec(step, 1..30)
}

/// A booking over each edge, moved over the next one; each ends otherwise, and the last one stands.
fn across_each_edge() -> impl Iterator<Item = Step> {
    let over = |edge: usize| Time::Edge { at: Time::EDGES[edge % Time::EDGES.len()], quarters: 0 };
    let ends: [&[&str]; 4] = [&["cancel"], &["check-in", "no-show"], &["confirm", "check-in", "complete"], &[]];
    ends.into_iter().enumerate().flat_map(move |(nth, ends)| {
        let currency = CURRENCIES[nth % 2];
        let moved = [Step::Book { person: 1, time: over(nth), currency }, Step::Move { nth, time: over(nth + 1) }];
        let ended = ends.iter().map(move |step| match *step {
            "cancel" => Step::Cancel { nth, waive_fee: false },
            step => Step::Advance { nth, step },
        });
        moved.into_iter().chain(ended)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_the_same_whoever_writes_them() {
    let dir = TestDir::new();
    let mut server = Mode::Scale.start(dir.path());
    server.ready().await;
    let mut pairs = Vec::new();
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let law = runner.run(&steps(), |steps| {
        let outcome = block_in_place(|| Handle::current().block_on(Pair::new(&server, dir.path(), &steps)));
        let pair = outcome.map_err(TestCaseError::fail)?;
        prop_assert_eq!(&pair.transactional, &pair.dual_written);
        prop_assert_eq!(&pair.shown[0], &pair.shown[1]);
        for [kept, counted] in &pair.totals {
            prop_assert_eq!(kept, counted, "the totals that are kept, and those that the rows add up to");
        }
        Ok(())
    });
    law.unwrap();
    // What chance may leave out.
    let stock = each_kind().into_iter().map(Step::Stock);
    let each: Vec<Step> = stock.chain(across_each_edge()).collect();
    let pair = Pair::new(&server, dir.path(), &each).await.unwrap();
    assert_eq!(pair.transactional, pair.dual_written);
    assert_eq!(pair.shown[0], pair.shown[1]);
    let days = pair.totals[0][1].iter().filter(|total| total.starts_with("calendar")).count();
    assert!(days >= 4, "{days} days: no slot crosses midnight");
    for [kept, counted] in &pair.totals {
        assert_eq!(kept, counted);
    }
    // Those of all cases, made anew by a server that finds none.
    pairs.extend(Rows::tenants(dir.path(), "scale").await);
    let mut before = Vec::new();
    for tenant in &pairs {
        before.push(Rows::of(dir.path(), *tenant).await);
        Rows::lose(dir.path(), *tenant).await;
    }
    server.kill_9();
    let server = Mode::Scale.start(dir.path());
    server.ready().await;
    assert!(before.iter().any(|rows| !rows.is_empty()), "the cases booked something");
    for (tenant, before) in pairs.iter().zip(before) {
        let after = Rows::of(dir.path(), *tenant).await;
        assert_eq!(after.kept(), before.kept(), "of tenant {tenant}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_agree_with_a_recount_whoever_changes_rows() {
    let dir = TestDir::new();
    let server = Mode::Scale.start(dir.path());
    server.ready().await;
    let busy = Pair::busy(&server, dir.path()).await;
    let client = superuser(dir.path()).await;
    for tenant in busy {
        let counted = totals::counted(&client, tenant).await;
        assert!(counted.iter().any(|total| total.starts_with("sales")), "{counted:?}");
        assert_eq!(totals::kept(&client, tenant).await, counted, "of tenant {tenant}");
    }
    // Another zone has other days; the one across the date line, other months too.
    let zone = "UPDATE tenant_settings SET time_zone = $2 WHERE tenant_id = $1";
    for (tenant, zone_name) in busy.into_iter().zip(["Pacific/Auckland", "America/Los_Angeles"]) {
        client.execute(zone, &[&tenant, &zone_name]).await.unwrap();
        let counted = totals::counted(&client, tenant).await;
        assert_eq!(totals::kept(&client, tenant).await, counted, "in {zone_name}");
    }
}
