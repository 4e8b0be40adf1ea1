//! What an entry says of a booking. An entry holds the row after the change only, so what became of the booking shows by
//! what earlier entries have told of it.

use codeccloud_actors::sagas::booking::BookingStatus;
use codeccloud_actors::time::{MINUTE_MS, Slot, Timestamp};

use super::entry::{BookingChange, BookingRow, Operation};

/// What the entries have told of a booking so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownBooking {
    pub status: BookingStatus,
    pub slot: Slot,
    pub version: Option<i32>,
    /// Of its calendar entry, which is revised by each change that its customer must hear of (RFC 5545, SEQUENCE).
    pub sequence: i32,
}

/// Between the time that a row says it was changed at, and that of the entry which tells it: servers' clocks differ.
const SAME_CHANGE_MS: i64 = MINUTE_MS;

impl KnownBooking {
    /// As if the booking had not been told yet.
    pub fn draft(row: &BookingRow) -> KnownBooking {
        KnownBooking { status: BookingStatus::Pending, slot: row.slot, version: row.version, sequence: 0 }
    }

    /// What is known once the row was seen.
    pub fn after(known: Option<KnownBooking>, row: &BookingRow, changes: &[BookingChange]) -> KnownBooking {
        let revised = |change: &BookingChange| matches!(change, BookingChange::Rescheduled | BookingChange::Cancelled);
        let sequence = known.map_or(0, |known| known.sequence) + i32::from(changes.iter().any(revised));
        KnownBooking { status: row.status, slot: row.slot, version: row.version, sequence }
    }
}

/// What the entry tells that was not known, in the order in which it matters.
///
/// A deletion tells nothing: it is a row that was cleaned up, or the first half of a move to another month, whose second
/// half is an insertion. It makes known where the booking was.
///
/// Of a booking that was never seen before, an update says what it changed only if the row bears it out by a time of its
/// own. Otherwise it is taken note of in silence: no mail is better than a wrong one.
pub fn changes(
    operation: Operation,
    row: &BookingRow,
    known: Option<KnownBooking>,
    at: Timestamp,
) -> Vec<BookingChange> {
    match (operation, known) {
        (Operation::Delete | Operation::Other, _) => Vec::new(),
        (Operation::Insert | Operation::Update, Some(known)) => since(known, row),
        (Operation::Insert, None) => match row.status {
            BookingStatus::Scheduled => vec![BookingChange::Scheduled],
            BookingStatus::Confirmed => vec![BookingChange::Scheduled, BookingChange::Confirmed],
            // A draft is told once it is scheduled. The others come in with their past: an import, not news.
            BookingStatus::Pending
            | BookingStatus::CheckedIn
            | BookingStatus::Completed
            | BookingStatus::NoShow
            | BookingStatus::Cancelled => Vec::new(),
        },
        (Operation::Update, None) => borne_out(row, at),
    }
}

fn since(known: KnownBooking, row: &BookingRow) -> Vec<BookingChange> {
    let was_told = known.status != BookingStatus::Pending;
    let now_told = match row.status {
        BookingStatus::Pending => return Vec::new(),
        BookingStatus::Cancelled if !was_told || known.status == BookingStatus::Cancelled => return Vec::new(),
        BookingStatus::Cancelled => return vec![BookingChange::Cancelled],
        BookingStatus::Scheduled => None,
        BookingStatus::Confirmed => Some(BookingChange::Confirmed),
        BookingStatus::CheckedIn => Some(BookingChange::CheckedIn),
        BookingStatus::Completed => Some(BookingChange::Completed),
        BookingStatus::NoShow => Some(BookingChange::NoShow),
    };
    let is_ahead = matches!(row.status, BookingStatus::Scheduled | BookingStatus::Confirmed);
    let scheduled = (!was_told).then_some(BookingChange::Scheduled);
    let moved = (was_told && is_ahead && known.slot != row.slot).then_some(BookingChange::Rescheduled);
    let reached = now_told.filter(|_| known.status != row.status);
    [scheduled, moved, reached].into_iter().flatten().collect()
}

fn borne_out(row: &BookingRow, at: Timestamp) -> Vec<BookingChange> {
    let is_of_this_change =
        |time: Option<Timestamp>| time.is_some_and(|time| (time.as_millis() - at.as_millis()).abs() <= SAME_CHANGE_MS);
    match row.status {
        BookingStatus::Cancelled if is_of_this_change(row.cancelled_at) => vec![BookingChange::Cancelled],
        BookingStatus::Scheduled | BookingStatus::Confirmed if is_of_this_change(row.moved_at) => {
            vec![BookingChange::Rescheduled]
        }
        BookingStatus::Pending
        | BookingStatus::Scheduled
        | BookingStatus::Confirmed
        | BookingStatus::CheckedIn
        | BookingStatus::Completed
        | BookingStatus::NoShow
        | BookingStatus::Cancelled => Vec::new(),
    }
}

/// Whether the row is a state that its booking only passed through: where the row's own trigger knows no direct way, a
/// command writes the states between as well. `next` is the booking's next row of the same transaction.
///
/// A transaction may hold several commands, and then each raises the version.
pub fn is_passed_through(row: &BookingRow, known: Option<KnownBooking>, next: &BookingRow) -> bool {
    let raises_no_version = row.version.is_some() && row.version == known.and_then(|known| known.version);
    row.version == next.version || raises_no_version
}
