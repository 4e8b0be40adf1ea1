//! However the feed cuts a history into pages, and however often a projection is saved, loaded and given a page again,
//! it ends in the same model; and that model says what the aggregates say.

mod agreement;
mod bus;
mod histories;
mod pages;
mod revenue;

use codeccloud_actors::ids::BookingId;
use codeccloud_actors::ports::FeedCursor;
use codeccloud_actors::projections::appointment_summaries::AppointmentSummaries;
use codeccloud_actors::projections::availability::Availability;
use codeccloud_actors::projections::inventory::Inventory;
use codeccloud_actors::projections::loyalty_balances::LoyaltyBalances;
use codeccloud_actors::projections::revenue::Revenue;
use codeccloud_actors::projections::staff_utilisation::StaffUtilisationDays;
use codeccloud_actors::projections::{Fold, Projection};
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::testing::salon;
use codeccloud_actors::time::Timestamp;
use proptest::prelude::*;

use crate::house::{House, hour, settings, status};
use histories::{any_step, live_through};
use pages::{Cut, Page, any_cut, paged};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn pages_saves_and_repetitions_change_no_model_and_all_agree_with_the_aggregates(
        steps in prop::collection::vec(any_step(), 0..80),
        cuts in prop::collection::vec(any_cut(), 1..8),
    ) {
        live_through(steps, |house| {
            agreement::of_actors(house);
            agreement::of_availability(house, &folded::<Availability>(house, &cuts));
            agreement::of_staff_utilisation(house, &folded::<StaffUtilisationDays>(house, &cuts));
            agreement::of_loyalty_balances(house, &folded::<LoyaltyBalances>(house, &cuts));
            agreement::of_inventory(house, &folded::<Inventory>(house, &cuts));
            revenue::is_the_recount(house, &folded::<Revenue>(house, &cuts));
            agreement::of_appointment_summaries(house, &folded::<AppointmentSummaries>(house, &cuts));
        });
    }
}

/// Such a one holds its new slot, so it must not be missing from the list of those who come that week.
#[actix::test]
async fn a_booking_that_was_let_go_of_is_brought_back_when_it_is_moved() {
    let house = House::new(settings());
    let (old, create) = house.create(hour(1));
    house.runtime.execute(create).await.unwrap();
    let in_days = |days: i64| {
        let slot = hour(24 * days);
        (slot, slot.start, slot.start.plus_minutes(1))
    };
    house.clock.advance_minutes(100 * 24 * 60);
    let (slot, ..) = in_days(101);
    house.book(slot).await.unwrap();
    let listed = |house: &House, from, to| -> Vec<BookingId> {
        let model = folded::<AppointmentSummaries>(house, &[Cut::WHOLE]);
        agreement::of_appointment_summaries(house, &model);
        model.brought_back(salon().tenant_id, from, to).collect()
    };
    for days in [110, 105] {
        let (slot, from, to) = in_days(days);
        let moved = house.change(old, BookingCommand::Reschedule { booking_id: old, slot }).await;
        assert_eq!(status(&moved), 200);
        assert_eq!(listed(&house, from, to), [old]);
        assert_eq!(listed(&house, to, Timestamp::MAX), [], "it begins once only");
    }
    house.clock.advance_minutes(100 * 24 * 60);
    let (slot, ..) = in_days(201);
    house.book(slot).await.unwrap();
    assert_eq!(listed(&house, Timestamp::MIN, Timestamp::MAX), [], "long past once more");
}

/// The model of the house's history, which is the same in one page as in many.
fn folded<P: Projection + PartialEq + std::fmt::Debug>(house: &House, cuts: &[Cut]) -> P {
    let history = house.store.history();
    let pages = paged(&history, cuts);
    let end = pages.last().map_or_else(FeedCursor::default, |page| page.cursor);
    let mut whole = Fold::<P>::default();
    assert!(whole.apply(&history, end).is_empty(), "every event can be applied");
    let piecewise = in_pages::<P>(&pages);
    assert_eq!(piecewise.model, whole.model);
    assert_eq!((piecewise.cursor, piecewise.events_applied), (whole.cursor, whole.events_applied));
    whole.model
}

fn in_pages<P: Projection>(pages: &[Page<'_>]) -> Fold<P> {
    let mut fold = Fold::<P>::default();
    let (mut saved, mut saved_before) = (fold.encode(), 0);
    for (index, page) in pages.iter().enumerate() {
        fold.apply(page.events, page.cursor);
        if page.cut.repeated {
            fold.apply(page.events, page.cursor);
        }
        if page.cut.crashed {
            fold = Fold::decode(&saved).unwrap();
            for page in &pages[saved_before..=index] {
                fold.apply(page.events, page.cursor);
            }
        }
        if page.cut.saved {
            (saved, saved_before) = (fold.encode(), index + 1);
            fold = Fold::decode(&saved).unwrap();
        }
    }
    fold
}
