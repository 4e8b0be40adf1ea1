//! However the feed cuts a history into pages, and however often a projection is saved, loaded and given a page again,
//! it ends in the same model; and that model says what the aggregates say.

mod agreement;
mod histories;
mod pages;

use codeccloud_actors::ports::FeedCursor;
use codeccloud_actors::projections::appointment_summaries::AppointmentSummaries;
use codeccloud_actors::projections::availability::Availability;
use codeccloud_actors::projections::loyalty_balances::LoyaltyBalances;
use codeccloud_actors::projections::staff_utilisation::StaffUtilisationDays;
use codeccloud_actors::projections::{Fold, Projection};
use proptest::prelude::*;

use crate::house::House;
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
            agreement::of_appointment_summaries(house, &folded::<AppointmentSummaries>(house, &cuts));
        });
    }
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
