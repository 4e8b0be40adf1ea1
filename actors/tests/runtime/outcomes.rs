//! What a caller is told when the answer of a commit is lost, late, or never comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use codeccloud_actors::answer::Response;
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::AggregateType;
use codeccloud_actors::runtime::{ExecutionError, Submission};
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::Fault;

use crate::bounds::assert_unavailable;
use crate::house::{House, anna, count_decisions, customer, hour, settings, status, stream, until};

#[actix::test]
async fn a_lost_answer_is_found_by_its_key_and_not_decided_twice() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.inject(Fault::AnswerLost);
    let (_, mut create) = house.create(hour(2));
    let decisions = count_decisions(&mut create);
    let command_id = create.command_id;
    match house.runtime.execute(create).await {
        Err(ExecutionError::Duplicate(stored)) => assert_eq!((stored.command_id, stored.status), (command_id, 200)),
        other => panic!("{other:?}"),
    }
    assert_eq!(decisions.load(Ordering::SeqCst), 1);
    assert_eq!(house.versions(anna()), [1, 2]);
}

/// Nothing is stored by which it could be found.
#[actix::test]
async fn a_lost_answer_of_a_command_without_a_key_stays_unknown() {
    let house = House::new(settings());
    house.store.inject(Fault::AnswerLost);
    let (_, create) = house.create(hour(1));
    let mut keyless = Submission { key: None, ..create };
    let respond = keyless.respond.clone();
    keyless.respond = Arc::new(move |verdict| Response { record: None, ..respond(verdict) });
    let decisions = count_decisions(&mut keyless);
    let executed = house.runtime.execute(keyless).await;
    assert!(matches!(executed, Err(ExecutionError::Unknown(_))), "{executed:?}");
    assert_eq!(decisions.load(Ordering::SeqCst), 1);
    assert_eq!(house.versions(anna()), [1]);
}

#[actix::test]
async fn what_was_not_committed_is_decided_again_and_written_once() {
    let house = House::new(settings());
    house.store.inject(Fault::LostBeforeCommit);
    let (_, mut create) = house.create(hour(1));
    let decisions = count_decisions(&mut create);
    assert_eq!(status(&house.runtime.execute(create).await), 200);
    assert_eq!(decisions.load(Ordering::SeqCst), 2);
    assert_eq!(house.versions(anna()), [1]);
}

#[actix::test]
async fn a_command_that_is_lost_again_and_again_is_given_back() {
    let house = House::new(settings());
    for _ in 0..=settings().conflict_retries {
        house.store.inject(Fault::LostBeforeCommit);
    }
    let (_, mut create) = house.create(hour(1));
    let decisions = count_decisions(&mut create);
    assert_unavailable(&house.runtime.execute(create).await);
    assert_eq!(decisions.load(Ordering::SeqCst), 1 + settings().conflict_retries as usize);
    assert!(house.versions(anna()).is_empty());
}

#[actix::test]
async fn an_outcome_that_cannot_be_looked_up_is_not_decided_again_and_is_found_later() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.inject(Fault::AnswerLost);
    house.store.set_unreachable(true);
    let (_, mut create) = house.create(hour(2));
    let decisions = count_decisions(&mut create);
    assert_unavailable(&house.runtime.execute(create.clone()).await);
    assert_eq!(decisions.load(Ordering::SeqCst), 1);
    house.store.set_unreachable(false);
    tokio::time::sleep(settings().restart_backoff_max).await;
    assert_found(&house, create).await;
    assert_eq!(house.versions(anna()), [1, 2]);
}

#[actix::test]
async fn a_deadline_that_passes_during_the_commit_leaves_an_answer_under_the_key() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.hold();
    let (_, create) = house.create(hour(2));
    let hasty = Submission { deadline: Instant::now() + Duration::from_millis(30), ..create.clone() };
    let begun = Instant::now();
    assert_eq!(house.runtime.execute(hasty).await, Err(ExecutionError::Timeout));
    assert!(begun.elapsed() < Duration::from_millis(500));
    assert_eq!(house.versions(anna()), [1]);
    house.store.release();
    assert_found(&house, create).await;
    assert_eq!(house.versions(anna()), [1, 2]);
}

#[actix::test]
async fn a_command_whose_deadline_passes_in_the_mailbox_is_not_decided() {
    let house = House::new(settings());
    house.store.hold_loads();
    let mut late = house.rewarding(customer(1));
    late.deadline = Instant::now() + Duration::from_millis(30);
    let decisions = count_decisions(&mut late);
    assert_eq!(house.runtime.execute(late).await, Err(ExecutionError::Timeout));
    house.store.release_loads();
    assert_eq!(status(&house.reward(customer(1)).await), 200, "it comes behind the late one");
    assert_eq!(decisions.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn an_aggregate_whose_question_is_never_answered_goes_on() {
    let house = House::new(settings());
    let (booking_id, create) = house.create(hour(1));
    house.runtime.execute(create).await.unwrap();
    house.store.hold();
    let moving = Command::Booking(booking_id, BookingCommand::Reschedule { booking_id, slot: hour(2) });
    let mut hasty = house.submission(moving);
    hasty.deadline = Instant::now() + Duration::from_millis(30);
    assert_eq!(house.runtime.execute(hasty).await, Err(ExecutionError::Timeout));
    let releasing = async {
        until("the next command is decided", || house.store.waiting() == 2).await;
        house.store.release();
    };
    let (confirmed, ()) = tokio::join!(house.change(booking_id, BookingCommand::Confirm), releasing);
    assert_eq!(status(&confirmed), 200);
    assert_eq!(house.versions(stream(AggregateType::Booking, booking_id.0)), [1, 2, 3]);
}

/// The pause before a command's next attempt must not wait out what is left of its time.
#[actix::test]
async fn no_attempt_begins_after_the_deadline() {
    let house = House::new(settings());
    house.book(hour(1)).await.unwrap();
    house.store.hold();
    house.store.inject(Fault::LostBeforeCommit);
    let (_, mut create) = house.create(hour(2));
    create.deadline = Instant::now() + Duration::from_millis(60);
    let (deadline, decisions) = (create.deadline, count_decisions(&mut create));
    let releasing = async {
        until("the command waits for its commit", || house.store.waiting() == 1).await;
        tokio::time::sleep_until((deadline - Duration::from_micros(500)).into()).await;
        house.store.release();
    };
    let (executed, ()) = tokio::join!(house.runtime.execute(create), releasing);
    assert_eq!(executed, Err(ExecutionError::Timeout));
    assert_eq!(decisions.load(Ordering::SeqCst), 1);
}

/// A second attempt under the same key, as a front-end makes it.
async fn assert_found(house: &House, submission: Submission) {
    let deadline = Instant::now() + Duration::from_secs(5);
    let command_id = submission.command_id;
    match house.runtime.execute(Submission { deadline, ..submission }).await {
        Err(ExecutionError::Duplicate(stored)) => assert_eq!((stored.command_id, stored.status), (command_id, 200)),
        other => panic!("{other:?}"),
    }
}
