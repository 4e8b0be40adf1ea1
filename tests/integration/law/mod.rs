//! The law of the two modes: for any sequence of commands, rows written in MVP mode are those of dual write, and those made
//! anew from events.

mod figures;
mod pair;
mod rows;
mod stock;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use self::pair::{Pair, Step};
use self::rows::Rows;
use self::stock::{each_kind, stock_step};
use crate::support::{Mode, TestDir};

/// Cases of commands; each takes two salons of its own.
const CASES: u32 = 12;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slot = (0..2_usize, 0..3_i64, 0..12_i64);
    let nth = 0..6_usize;
    let step = prop_oneof![
        4 => slot.clone().prop_map(|(person, day, number)| Step::Book { person, day, number }),
        2 => (nth.clone(), slot).prop_map(|(nth, (_, day, number))| Step::Move { nth, day, number }),
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
        Ok(())
    });
    law.unwrap();
    let each: Vec<Step> = each_kind().into_iter().map(Step::Stock).collect();
    let pair = Pair::new(&server, dir.path(), &each).await.unwrap();
    assert_eq!(pair.transactional, pair.dual_written);
    assert_eq!(pair.shown[0], pair.shown[1]);
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
    for tenant in busy {
        let counted = Rows::totals(dir.path(), tenant).await;
        assert!(counted.iter().any(|total| total.starts_with("sales")), "{counted:?}");
        Rows::recount(dir.path(), tenant).await;
        assert_eq!(Rows::totals(dir.path(), tenant).await, counted, "of tenant {tenant}");
    }
}
