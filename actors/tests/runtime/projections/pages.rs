//! Histories cut into windows and pages, as the feed delivers them.

use codeccloud_actors::envelope::RecordedEvent;
use codeccloud_actors::ids::Position;
use codeccloud_actors::ports::{FeedCursor, OpenWindow};
use proptest::prelude::*;

/// How the next window is cut, and what happens after each of its pages.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    transactions: usize,
    page_events: usize,
    pub saved: bool,
    /// The page is delivered again.
    pub repeated: bool,
    /// The process dies, and goes on from its last save.
    pub crashed: bool,
}

impl Cut {
    /// One page for all.
    pub const WHOLE: Cut =
        Cut { transactions: usize::MAX >> 1, page_events: usize::MAX, saved: true, repeated: false, crashed: false };
}

pub struct Page<'a> {
    pub events: &'a [RecordedEvent],
    pub cursor: FeedCursor,
    pub cut: Cut,
}

pub fn any_cut() -> impl Strategy<Value = Cut> {
    (1..12_usize, 1..6_usize, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(transactions, page_events, saved, repeated, crashed)| Cut {
            transactions,
            page_events,
            saved,
            repeated,
            crashed,
        },
    )
}

/// The cuts are used one after another, again and again.
pub fn paged<'a>(history: &'a [RecordedEvent], cuts: &[Cut]) -> Vec<Page<'a>> {
    let mut pages = Vec::new();
    let mut cuts = cuts.iter().cycle();
    let mut rest = history;
    let mut low = 0;
    while let Some(first) = rest.first() {
        let cut = *cuts.next().expect("at least one cut, again and again");
        let high = first.place.transaction_id + cut.transactions as u64;
        let (window, later) = rest.split_at(rest.partition_point(|event| event.place.transaction_id < high));
        let last = window.chunks(cut.page_events).len() - 1;
        for (index, events) in window.chunks(cut.page_events).enumerate() {
            let cursor = if index == last { covering(high, None) } else { covering(low, Some((high, events))) };
            pages.push(Page { events, cursor, cut });
        }
        (rest, low) = (later, high);
    }
    pages
}

fn covering(low: u64, open: Option<(u64, &[RecordedEvent])>) -> FeedCursor {
    let window = open.map(|(high, events)| OpenWindow {
        high,
        after: events.last().map_or(Position(0), |event| event.place.position),
        since_ms: 0,
    });
    FeedCursor { cluster_id: 1, low, window, ..FeedCursor::default() }
}
