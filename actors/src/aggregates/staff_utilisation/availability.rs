use jiff::tz::TimeZone;

use crate::ids::{BookingId, StaffId};
use crate::reference::{Service, StaffMember, TenantReference};
use crate::time::{MINUTE_MS, Slot, Timestamp};

use super::{Buffers, Calendar, StaffRefusal, WorkingWindows, local_days};

/// Where a person can be booked: the one answer to that question, for a slot that is listed and for one that is asked for.
pub struct Openings<'a> {
    pub calendar: &'a Calendar,
    /// Must span every slot that is asked about.
    pub windows: WorkingWindows,
    pub buffers: Buffers,
    /// The booking that is being moved: its own reservation is not in its way.
    pub moving: Option<BookingId>,
}

impl Openings<'_> {
    pub fn check(&self, slot: Slot) -> Result<(), StaffRefusal> {
        self.windows.check(slot)?;
        self.calendar.check(slot, self.buffers, self.moving)
    }
}

/// Which slots to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotQuery {
    /// Slots lie within it as a whole.
    pub span: Slot,
    /// Slots start at each local midnight and every so many elapsed minutes after it.
    pub granularity_minutes: u32,
    /// No slot that has begun is listed.
    pub now: Timestamp,
}

/// The slots in which `member` can be booked for `service`, ascending. Each of them can be reserved, and no other on the
/// same grid, until the calendar or the reference data changes.
pub fn bookable_slots(
    calendar: &Calendar,
    reference: &TenantReference,
    member: &StaffMember,
    service: &Service,
    query: &SlotQuery,
) -> Vec<Slot> {
    let offered = member.active && service.active && is_qualified(service, member.id);
    let Some(span) = Slot::new(query.span.start.max(query.now), query.span.end).filter(|_| offered) else {
        return Vec::new();
    };
    let latest_start = reference.latest_start(query.now);
    // The windows end with the span, so a slot that sticks out of it is refused by the check.
    let windows = WorkingWindows::within(span, &member.availability, &reference.zone);
    let openings = Openings { calendar, windows, buffers: Buffers::of(service), moving: None };
    grid(span, query.granularity_minutes, &reference.zone)
        .take_while(|start| *start <= latest_start)
        .filter_map(|start| Slot::new(start, start.plus_minutes(i64::from(service.duration_minutes))))
        .filter(|slot| openings.check(*slot).is_ok())
        .collect()
}

pub(super) fn is_qualified(service: &Service, staff_id: StaffId) -> bool {
    service.qualified.as_ref().is_none_or(|qualified| qualified.contains(&staff_id))
}

/// From the last start that is not after the span's begin. Counts elapsed minutes rather than wall time, so that the hour that the autumn repeats has its own starts twice.
fn grid(span: Slot, granularity_minutes: u32, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
    let step = i64::from(granularity_minutes.max(1)) * MINUTE_MS;
    local_days(span, zone).flat_map(move |(_, day)| {
        let skipped = (span.start.as_millis() - day.start.as_millis()).max(0);
        let first = skipped / step;
        let end = day.end.min(span.end);
        (first..).map(move |index| day.start.plus_millis(index * step)).take_while(move |start| *start < end)
    })
}
