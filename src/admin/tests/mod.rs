mod watching;

use codeccloud_actors::ids::{BookingId, Version};
use codeccloud_actors::money::{Currency, Money};
use codeccloud_actors::sagas::booking::{BookingDetails, BookingStatus};
use codeccloud_actors::testing::{ANNA, HAIRCUT, salon, slot, time};
use jiff::civil::date;
use uuid::Uuid;

use super::grid::{Day, grid};
use super::html::{Text, fill};
use super::lanes::{Place, side_by_side};
use crate::ports::BookingView;

fn booking() -> BookingView {
    BookingView {
        id: BookingId(Uuid::from_u128(0xB)),
        version: Version(1),
        details: BookingDetails {
            status: BookingStatus::CheckedIn,
            staff_id: ANNA,
            service_id: Some(HAIRCUT),
            customer_id: None,
            slot: slot("2027-03-01T09:00:00Z", 45),
            price: Money { currency: Currency::Chf, amount: 8_000 },
            moved: false,
            reason_recorded: false,
            created_at: time("2027-02-01T09:00:00Z"),
            updated_at: time("2027-02-01T09:00:00Z"),
        },
    }
}

fn day(year: i16, month: i8, day: i8) -> Day {
    Day::new(date(year, month, day), &salon().zone).expect("a date within reach")
}

#[test]
fn text_is_escaped_and_stays_on_its_line() {
    assert_eq!(Text("<b a=\"1\" c='2'>&\r\n").to_string(), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;  ");
}

#[test]
fn a_value_is_no_template() {
    assert_eq!(fill("<{{a}}|{{b}}>", &[("a", "{{b}}"), ("b", "2")]), "<{{b}}|2>");
}

#[test]
fn a_booking_stands_at_its_local_time_with_service_and_status() {
    let html = grid(&day(2027, 3, 1), &salon(), &[booking()]);
    assert!(html.contains("class=\"checked_in\""), "{html}");
    assert!(html.contains("--from:600;--length:45;--lane:0;--lanes:1"), "{html}");
    assert!(html.contains("<time>10:00–10:45</time> <b>Service</b> <i>checked in</i>"), "{html}");
}

#[test]
fn names_and_colours_of_a_salon_cannot_break_out() {
    let mut reference = salon();
    let anna = reference.staff.get_mut(&ANNA).expect("she works there");
    anna.display_name = "<script>\nx".to_owned();
    anna.color = "red;background:url(//elsewhere)".to_owned();
    let html = grid(&day(2027, 3, 1), &reference, &[booking()]);
    assert!(html.contains("--staff:gray\">&lt;script&gt; x"), "{html}");
    assert!(!html.contains('\n') && !html.contains("elsewhere"), "{html}");
}

#[test]
fn overlapping_blocks_stand_side_by_side_and_later_ones_are_wide_again() {
    let slots = [("09:00", 60), ("09:30", 60), ("10:00", 60), ("11:00", 30)];
    let slots = slots.map(|(start, minutes)| slot(&format!("2027-03-01T{start}:00Z"), minutes));
    let place = |lane, lanes| Place { lane, lanes };
    assert_eq!(side_by_side(&slots), [place(0, 2), place(1, 2), place(0, 2), place(0, 1)]);
}

#[test]
fn days_on_which_the_clocks_change_have_23_and_25_hours() {
    let labels = |day: Day| day.hours().map(|(_, label)| label).collect::<Vec<_>>();
    let (spring, autumn) = (labels(day(2027, 3, 28)), labels(day(2027, 10, 31)));
    assert_eq!((spring.len(), &spring[1..3]), (23, ["01:00".to_owned(), "03:00".to_owned()].as_slice()));
    assert_eq!((autumn.len(), &autumn[2..4]), (25, ["02:00".to_owned(), "02:00".to_owned()].as_slice()));
}

#[test]
fn dates_out_of_reach_are_no_days() {
    let zone = salon().zone;
    assert!(Day::new(date(9999, 12, 31), &zone).is_none());
    assert!(Day::new(date(-44, 3, 15), &zone).is_none());
}
