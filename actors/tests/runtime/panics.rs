//! A panic costs one command. Its caller is told, its aggregate starts again from the store, and the neighbours on the
//! same thread don't notice.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::panic_any;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codeccloud_actors::answer::{Respond, Verdict};
use codeccloud_actors::ports::Clock;
use codeccloud_actors::runtime::{Executed, ExecutionError, RuntimeSettings, Submission};
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::ManualClock;
use codeccloud_actors::time::{Slot, Timestamp};

use crate::house::{House, anna, customer, hour, points_of, settings, status, until};
use crate::supervision::{patient, pause};

/// Lies beyond all calendars, and Anna's panics in a build with overflow checks, such as this.
fn impossible() -> Slot {
    Slot { start: Timestamp::from_millis(i64::MAX - 1), end: Timestamp::from_millis(i64::MAX) }
}

thread_local! {
    static IS_FAR_AHEAD: Cell<bool> = const { Cell::new(false) };
}

/// On threads that are far ahead it is the day of the impossible slot, without which that lies too many years ahead. The
/// others, where Anna's and the customers' actors are, go by the house's clock.
struct LeapingClock(Arc<ManualClock>);

impl Clock for LeapingClock {
    fn now(&self) -> Timestamp {
        if IS_FAR_AHEAD.get() { impossible().start } else { self.0.now() }
    }
}

fn leaping_house(settings: RuntimeSettings) -> House {
    House::with_clock(settings, |inner| Arc::new(LeapingClock(inner)))
}

async fn book_impossible(house: &House) -> Result<Executed, ExecutionError> {
    let mut booking = pin!(house.book(impossible()));
    poll_fn(|cx| {
        IS_FAR_AHEAD.set(true);
        let polled = booking.as_mut().poll(cx);
        IS_FAR_AHEAD.set(false);
        polled
    })
    .await
}

#[actix::test]
async fn a_decide_that_panics_costs_its_command_only() {
    let house = leaping_house(settings());
    house.reward(customer(1)).await.unwrap();
    house.store.hold();
    let releasing = async {
        // Hour 1, the reward, and hour 2 on a state that was reloaded while hour 1 was on its way.
        until("three commands wait for their commit", || house.store.waiting() == 3).await;
        house.store.release();
    };
    let (before, broken, reward, after, ()) = tokio::join!(
        house.book(hour(1)),
        book_impossible(&house),
        house.reward(customer(1)),
        house.book(hour(2)),
        releasing
    );
    assert_internal(&broken);
    assert!(house.store.loads() > 2, "it was Anna's aggregate that panicked, and it was loaded anew");
    assert_eq!([status(&before), status(&reward), status(&after)], [200; 3]);
    assert_eq!(house.versions(anna()), [1, 2]);
    assert_eq!(house.versions(points_of(customer(1))), [1, 2]);
    assert_eq!(status(&house.book(hour(2)).await), 409, "Anna's aggregate works, with the state that is durable");
}

/// As a client brings them about that tries again and again.
#[actix::test]
async fn panics_that_follow_each_other_do_not_load_the_aggregate_each_time() {
    let house = leaping_house(patient());
    house.book(hour(1)).await.unwrap();
    let loads = house.store.loads() + 1;
    assert_internal(&book_impossible(&house).await);
    until("it is loaded after the first", || house.store.loads() == loads).await;
    assert_internal(&book_impossible(&house).await);
    let left = pause(&house.book(hour(2)).await);
    assert_eq!(house.store.loads(), loads);
    tokio::time::sleep(left).await;
    assert_eq!(status(&house.book(hour(2)).await), 200);
    assert_eq!(house.store.loads(), loads + 1);
    assert_internal(&book_impossible(&house).await);
    assert_eq!(status(&house.book(hour(3)).await), 200, "a command between them starts the count anew");
}

#[actix::test]
async fn a_panic_further_down_spares_the_aggregate_that_asked() {
    let house = House::new(settings());
    let (booking_id, create) = house.create(hour(1));
    house.runtime.execute(create).await.unwrap();
    let today = house.clock.now();
    house.clock.set(impossible().start);
    assert_internal(&house.change(booking_id, BookingCommand::Reschedule { booking_id, slot: impossible() }).await);
    house.clock.set(today);
    let moved = house.change(booking_id, BookingCommand::Reschedule { booking_id, slot: hour(2) }).await;
    assert_eq!(status(&moved), 200);
    assert_eq!(status(&house.book(hour(1)).await), 200, "its old slot is free");
    assert_eq!(status(&house.book(hour(2)).await), 409);
}

/// Which answers can't be built.
#[derive(Clone, Copy, PartialEq)]
enum Breaks {
    Any,
    Refusal,
}

/// Answers are built inside actors, from a closure of the caller's.
#[actix::test]
async fn an_answer_that_panics_costs_its_command_only() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.reward(customer(1)).await.unwrap();
    let (_, accepted) = house.create(hour(2));
    let (_, refused_by_staff) = house.create(hour(1));
    let (_, refused_at_once) = house.create(Slot { start: Timestamp::MIN, end: hour(1).end });
    let rewarding = house.rewarding(customer(1));
    for (breaks, submission) in [
        (Breaks::Any, accepted),
        (Breaks::Any, refused_at_once),
        (Breaks::Any, rewarding),
        (Breaks::Refusal, refused_by_staff),
    ] {
        let what = format!("{:?}", submission.command);
        let inner = submission.respond.clone();
        let respond: Respond = Arc::new(move |verdict| match verdict {
            Verdict::Accepted { .. } if breaks == Breaks::Refusal => inner(verdict),
            Verdict::Accepted { .. } | Verdict::Refused(_) => panic_any("an answer"),
        });
        let broken = Submission { respond, ..submission };
        let executed = house.runtime.execute(broken).await;
        assert!(matches!(executed, Err(ExecutionError::Internal(_))), "{what}: {executed:?}");
    }
    assert_eq!(status(&house.book(hour(2)).await), 200);
    assert_eq!(status(&house.reward(customer(1)).await), 200);
    assert_eq!(house.versions(points_of(customer(1))), [1, 2]);
}

/// Stops once, wherever it is asked.
struct BrokenClock {
    inner: Arc<ManualClock>,
    reads_left: Arc<AtomicUsize>,
}

impl Clock for BrokenClock {
    fn now(&self) -> Timestamp {
        if self.reads_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            panic_any("the clock");
        }
        self.inner.now()
    }
}

/// Whatever ends an actor besides: the next command finds a new one, and the old one no longer counts as active.
#[actix::test]
async fn an_actor_that_ends_in_a_panic_is_replaced() {
    let reads_left = Arc::new(AtomicUsize::new(0));
    let shown = reads_left.clone();
    let house = House::with_clock(settings(), |inner| Arc::new(BrokenClock { inner, reads_left: shown }));
    house.reward(customer(1)).await.unwrap();
    house.reward(customer(2)).await.unwrap();
    reads_left.store(1, Ordering::SeqCst);
    // Nobody knows what the lost actor did, so its command is looked up, and decided again.
    assert_eq!(status(&house.reward(customer(1)).await), 200);
    assert_eq!(house.versions(points_of(customer(1))), [1, 2]);
    assert_eq!(status(&house.reward(customer(2)).await), 200);
    house.thinned_to(2).await;
    house.runtime.passivate_all();
    house.thinned_to(0).await;
}

#[actix::test]
async fn a_clock_that_panics_on_the_callers_thread_does_not_end_it() {
    let reads_left = Arc::new(AtomicUsize::new(0));
    let shown = reads_left.clone();
    let house = House::with_clock(settings(), |inner| Arc::new(BrokenClock { inner, reads_left: shown }));
    reads_left.store(1, Ordering::SeqCst);
    assert_internal(&house.book(hour(1)).await);
    assert_eq!(status(&house.book(hour(1)).await), 200);
}

#[track_caller]
fn assert_internal(executed: &Result<Executed, ExecutionError>) {
    assert!(matches!(executed, Err(ExecutionError::Internal(_))), "{executed:?}");
}
