//! The final check: whatever the server acknowledged exists exactly once, and nobody is booked twice at a time.
//!
//! It lists each person's bookings over the horizon, a few requests for thousands of bookings, and asks for single
//! ones only where the list lacks something, to tell a booking that is gone from a list that is behind.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use codeccloud_actors::ids::{BookingId, StaffId};
use codeccloud_actors::time::{DAY_MS, Slot, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::LoadError;
use super::cast::Cast;
use super::plan::{Horizon, Slots};
use super::reader::{Patience, Reader};
use super::report::Count;
use super::requests::Acknowledged;

/// Lists asked for at a time: enough to be quick, too few to be a load test of its own.
const CONCURRENCY: usize = 8;
/// Bookings a page: the most that the server gives.
const PAGE: u32 = 200;
/// Problems that the verdict names; all are counted.
const NAMED: usize = 10;
/// Lists may follow writes with a delay; this long is waited for them.
const SETTLING_ATTEMPTS: u32 = 10;
const SETTLING_PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub acknowledged: u64,
    pub listed: u64,
    /// Staff members whose bookings were listed.
    pub people: usize,
    pub problems: u64,
    /// The first ten, in words.
    pub first: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    AcknowledgedTwice(BookingId),
    Absent(BookingId),
    Duplicate(BookingId),
    Unlisted(BookingId),
    Elsewhere {
        booking: BookingId,
        asked: Slot,
        listed: Slot,
    },
    /// Nobody but the load tester acts on what it books, and it neither cancels nor completes.
    Ended {
        booking: BookingId,
        status: Status,
    },
    Overlap {
        staff: StaffId,
        one: Listed,
        other: Listed,
    },
    NotVerified {
        staff: StaffId,
        why: String,
    },
}

/// A booking as the list shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: BookingId,
    staff_id: StaffId,
    slot_start: Timestamp,
    slot_end: Timestamp,
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    Scheduled,
    Rescheduled,
    Confirmed,
    CheckedIn,
    Completed,
    NoShow,
    Cancelled,
}

impl Status {
    /// Whether a booking in this state keeps its slot from others.
    fn is_active(self) -> bool {
        match self {
            Status::Pending | Status::Scheduled | Status::Rescheduled | Status::Confirmed | Status::CheckedIn => true,
            Status::Completed | Status::NoShow | Status::Cancelled => false,
        }
    }
}

impl Listed {
    fn slot(&self) -> Slot {
        Slot { start: self.slot_start, end: self.slot_end }
    }
}

/// Tells the plan what is booked already, so that runs can follow one another on the same data.
pub async fn occupy_booked(cast: &Cast, horizon: Horizon, slots: &mut Slots) -> Result<(), LoadError> {
    let lists = stream::iter(0..cast.people.len()).map(|person| async move {
        let mut reader = reader(cast, person, Patience::Short);
        Ok::<_, LoadError>((person, list_person(&mut reader, cast, horizon, person).await?))
    });
    let mut lists = lists.buffer_unordered(CONCURRENCY);
    while let Some((person, listed)) = lists.try_next().await? {
        let active = listed.iter().filter(|booking| booking.status.is_active());
        let buffer = cast.tenant_of(person).buffer_minutes_max;
        active.for_each(|booking| slots.occupy(person, booking.slot().widened(buffer, buffer)));
    }
    Ok(())
}

/// Checks everybody who may have been booked.
pub async fn check(cast: &Cast, horizon: Horizon, acknowledged: &[Acknowledged]) -> Verdict {
    let mut by_person: BTreeMap<usize, Vec<Acknowledged>> =
        (0..cast.people.len()).map(|person| (person, vec![])).collect();
    for entry in acknowledged {
        by_person.entry(entry.aim.person).or_default().push(*entry);
    }
    let mut verdict = Verdict {
        acknowledged: acknowledged.len() as u64,
        listed: 0,
        people: cast.people.len(),
        problems: 0,
        first: Vec::new(),
    };
    let checks = stream::iter(by_person)
        .map(|(person, entries)| async move { check_person(cast, horizon, person, &entries).await });
    let mut checks = checks.buffer_unordered(CONCURRENCY);
    while let Some((listed, problems)) = checks.next().await {
        verdict.listed += listed as u64;
        verdict.problems += problems.len() as u64;
        let room = NAMED - verdict.first.len();
        verdict.first.extend(problems.iter().take(room).map(ToString::to_string));
    }
    verdict
}

/// How many bookings the person has, and what is wrong with them.
async fn check_person(cast: &Cast, horizon: Horizon, person: usize, entries: &[Acknowledged]) -> (usize, Vec<Problem>) {
    let staff = cast.people[person].staff;
    let mut reader = reader(cast, person, Patience::Long);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let listed = match list_person(&mut reader, cast, horizon, person).await {
            Ok(listed) => listed,
            Err(error) => return (0, vec![Problem::NotVerified { staff, why: error.to_string() }]),
        };
        let mut problems = examine(staff, entries, &listed);
        let lacking = problems.iter().any(|problem| matches!(problem, Problem::Absent(_)));
        if lacking && attempt < SETTLING_ATTEMPTS {
            tokio::time::sleep(SETTLING_PAUSE).await;
            continue;
        }
        for problem in problems.iter_mut().take(NAMED) {
            if let Problem::Absent(booking) = *problem
                && exists(&mut reader, booking).await
            {
                *problem = Problem::Unlisted(booking);
            }
        }
        return (listed.len(), problems);
    }
}

async fn exists(reader: &mut Reader, booking: BookingId) -> bool {
    reader.get(&format!("/v1/bookings/{booking}")).await.is_ok_and(|answer| answer.status == 200)
}

fn reader(cast: &Cast, person: usize, patience: Patience) -> Reader {
    Reader::new(cast.target.clone(), cast.tenant_of(person).head.clone(), patience)
}

/// One window for the whole horizon: with several, a booking across a boundary would be listed twice and look like two.
async fn list_person(
    reader: &mut Reader,
    cast: &Cast,
    horizon: Horizon,
    person: usize,
) -> Result<Vec<Listed>, LoadError> {
    let Slot { start, end } = horizon.whole();
    // A day earlier, for bookings that reach into the horizon; a booking lasts a day at most.
    let (from, staff) = (start.plus_millis(-DAY_MS), cast.people[person].staff);
    let path = format!("/v1/bookings?from={from}&to={end}&staffId={staff}&limit={PAGE}");
    reader.list(&path).await
}

/// Compares what was acknowledged for one person with what is listed.
fn examine(staff: StaffId, acknowledged: &[Acknowledged], listed: &[Listed]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut by_id: HashMap<BookingId, (Listed, u32)> = HashMap::with_capacity(listed.len());
    let theirs = || listed.iter().filter(|booking| booking.staff_id == staff);
    for booking in theirs() {
        by_id.entry(booking.id).or_insert((*booking, 0)).1 += 1;
    }
    problems.extend(by_id.values().filter(|(_, times)| *times > 1).map(|(booking, _)| Problem::Duplicate(booking.id)));
    let mut answered: HashMap<BookingId, u32> = HashMap::with_capacity(acknowledged.len());
    for Acknowledged { booking, aim } in acknowledged {
        let answers = answered.entry(*booking).or_default();
        *answers += 1;
        if *answers == 2 {
            problems.push(Problem::AcknowledgedTwice(*booking));
        }
        match by_id.get(booking) {
            None => problems.push(Problem::Absent(*booking)),
            Some((found, _)) if found.slot() != aim.slot => {
                problems.push(Problem::Elsewhere { booking: *booking, asked: aim.slot, listed: found.slot() });
            }
            Some((found, _)) if !found.status.is_active() => {
                problems.push(Problem::Ended { booking: *booking, status: found.status });
            }
            Some(_) => {}
        }
    }
    let mut active: Vec<Listed> =
        by_id.values().map(|(booking, _)| *booking).filter(|b| b.status.is_active()).collect();
    active.sort_by_key(|booking| (booking.slot(), booking.id));
    problems.extend(overlaps(staff, &active));
    problems
}

/// `active` is sorted by start. Each booking is held against the one that ends last among those before it.
fn overlaps(staff: StaffId, active: &[Listed]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut last: Option<Listed> = None;
    for &booking in active {
        if let Some(one) = last.filter(|one| one.slot().overlaps(booking.slot())) {
            problems.push(Problem::Overlap { staff, one, other: booking });
        }
        if last.is_none_or(|one| one.slot_end < booking.slot_end) {
            last = Some(booking);
        }
    }
    problems
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::AcknowledgedTwice(booking) => write!(f, "booking {booking} was the answer to two requests"),
            Problem::Absent(booking) => write!(f, "booking {booking} was acknowledged but does not exist"),
            Problem::Duplicate(booking) => write!(f, "booking {booking} is listed more than once"),
            Problem::Unlisted(booking) => write!(f, "booking {booking} exists but is not listed"),
            Problem::Elsewhere { booking, asked, listed } => write!(
                f,
                "booking {booking} was acknowledged for {} to {} but is listed for {} to {}",
                asked.start, asked.end, listed.start, listed.end
            ),
            Problem::Ended { booking, status } => {
                write!(f, "booking {booking} was acknowledged but is listed as {status:?}")
            }
            Problem::Overlap { staff, one, other } => write!(
                f,
                "staff {staff}: booking {} ({} to {}) overlaps {} ({} to {})",
                one.id, one.slot_start, one.slot_end, other.id, other.slot_start, other.slot_end
            ),
            Problem::NotVerified { staff, why } => write!(f, "staff {staff} could not be checked: {why}"),
        }
    }
}

impl Verdict {
    /// A run in which nothing was booked has shown nothing.
    pub fn passed(&self) -> bool {
        self.problems == 0 && self.acknowledged > 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (acknowledged, listed) = (Count(self.acknowledged), Count(self.listed));
        if self.acknowledged == 0 && self.problems == 0 {
            return write!(f, "check: FAILED; nothing to check, no booking was acknowledged");
        }
        if self.passed() {
            return write!(
                f,
                "check: passed; all {acknowledged} acknowledged bookings exist once, none of {listed} listed overlap"
            );
        }
        write!(f, "check: FAILED; {} problems with {acknowledged} acknowledged bookings", Count(self.problems))?;
        self.first.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::Aim;
    use uuid::Uuid;

    const STAFF: StaffId = StaffId(Uuid::from_u64_pair(1, 1));

    fn slot(start: &str, end: &str) -> Slot {
        let at = |time: &str| format!("2030-01-02T{time}:00Z").parse().expect("an instant");
        Slot { start: at(start), end: at(end) }
    }

    fn listed(number: u64, slot: Slot) -> Listed {
        let id = BookingId(Uuid::from_u64_pair(2, number));
        Listed { id, staff_id: STAFF, slot_start: slot.start, slot_end: slot.end, status: Status::Scheduled }
    }

    fn acknowledged(booking: &Listed) -> Acknowledged {
        Acknowledged { booking: booking.id, aim: Aim { person: 0, slot: booking.slot() } }
    }

    fn day() -> [Listed; 3] {
        [("08:00", "09:00"), ("09:00", "09:30"), ("11:00", "12:00")]
            .map(|(start, end)| slot(start, end))
            .map(|slot| listed(slot.start.as_millis().unsigned_abs(), slot))
    }

    #[test]
    fn a_faultless_day_has_no_problems() {
        let bookings = day();
        assert_eq!(examine(STAFF, &bookings.each_ref().map(acknowledged), &bookings), []);
    }

    #[test]
    fn a_lost_a_doubled_and_a_displaced_booking_are_found() {
        let [one, two, three] = day();
        let entries = [one, two, three].each_ref().map(acknowledged);
        assert_eq!(examine(STAFF, &entries, &[one, three]), [Problem::Absent(two.id)]);
        assert_eq!(examine(STAFF, &entries, &[one, two, two, three]), [Problem::Duplicate(two.id)]);
        assert_eq!(examine(STAFF, &[entries[0], entries[0]], &[one, two, three]), [Problem::AcknowledgedTwice(one.id)]);
        let moved = Listed { slot_end: three.slot_end.plus_minutes(5), ..three };
        let displaced = Problem::Elsewhere { booking: three.id, asked: three.slot(), listed: moved.slot() };
        assert_eq!(examine(STAFF, &entries, &[one, two, moved]), [displaced]);
        let (cancelled, status) = (Listed { status: Status::Cancelled, ..two }, Status::Cancelled);
        assert_eq!(examine(STAFF, &entries, &[one, cancelled, three]), [Problem::Ended { booking: two.id, status }]);
    }

    #[test]
    fn overlaps_are_found_whoever_made_them_but_not_with_the_cancelled() {
        let [one, two, three] = day();
        let long = listed(90, slot("07:00", "11:30"));
        let found = examine(STAFF, &[], &[three, two, long, one]);
        let overlap = |other| Problem::Overlap { staff: STAFF, one: long, other };
        assert_eq!(found, [overlap(one), overlap(two), overlap(three)]);
        let cancelled = Listed { status: Status::Cancelled, ..long };
        assert_eq!(examine(STAFF, &[], &[one, two, three, cancelled]), []);
        let of_another = Listed { staff_id: StaffId(Uuid::from_u64_pair(1, 2)), ..long };
        assert_eq!(examine(STAFF, &[], &[one, two, three, of_another]), []);
    }
}
