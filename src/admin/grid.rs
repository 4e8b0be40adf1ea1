//! A day as HTML: staff as columns, hours as rows, bookings as blocks. Without personal data of customers.

use std::fmt::Write;

use codeccloud_actors::ids::StaffId;
use codeccloud_actors::reference::TenantReference;
use codeccloud_actors::sagas::booking::BookingStatus;
use codeccloud_actors::time::{MINUTE_MS, Slot, Timestamp, start_of_day};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::html::Text;
use super::lanes::{Place, side_by_side};
use crate::ports::BookingView;

/// A day by the salon's clock: 23 or 25 hours long when the clocks change.
#[derive(Debug, Clone)]
pub struct Day {
    pub date: Date,
    pub slot: Slot,
    zone: TimeZone,
}

impl Day {
    /// `None` for dates that no booking can have.
    pub fn new(day: Date, zone: &TimeZone) -> Option<Day> {
        if !(date(1901, 1, 1)..date(2199, 1, 1)).contains(&day) {
            return None;
        }
        let slot = Slot::new(start_of_day(day, zone), start_of_day(day.tomorrow().ok()?, zone))?;
        Some(Day { date: day, slot, zone: zone.clone() })
    }

    fn clock_at(&self, instant: Timestamp) -> String {
        let local = self.zone.to_datetime(instant.to_jiff());
        format!("{:02}:{:02}", local.hour(), local.minute())
    }

    fn minute_of(&self, instant: Timestamp) -> i64 {
        let instant = instant.clamp(self.slot.start, self.slot.end);
        (instant.as_millis() - self.slot.start.as_millis()) / MINUTE_MS
    }

    /// Minutes since the day began, with what the clock on the wall shows then.
    pub fn hours(&self) -> impl Iterator<Item = (i64, String)> + '_ {
        let minutes = (0..self.slot.minutes()).step_by(60);
        minutes.map(|minute| (minute, self.clock_at(self.slot.start.plus_minutes(minute))))
    }
}

struct Column<'a> {
    name: &'a str,
    color: &'a str,
    bookings: Vec<&'a BookingView>,
}

/// One line, so that it is one datum of an event.
pub fn grid(day: &Day, reference: &TenantReference, bookings: &[BookingView]) -> String {
    let mut html = String::new();
    let columns = columns(reference, bookings);
    let minutes = day.slot.minutes();
    write(&mut html, format_args!("<div class=\"grid\" style=\"--minutes:{minutes}\"><div class=\"axis\">"));
    for (minute, label) in day.hours() {
        write(&mut html, format_args!("<time style=\"--from:{minute}\">{label}</time>"));
    }
    html.push_str("</div>");
    for column in &columns {
        let slots: Vec<Slot> = column.bookings.iter().map(|booking| booking.details.slot).collect();
        let places = side_by_side(&slots);
        let widest = places.iter().map(|place| place.lanes).max().unwrap_or(1);
        write(
            &mut html,
            format_args!(
                "<section style=\"--widest:{widest}\"><h2 style=\"--staff:{}\">{} <small>{}</small></h2><ol>",
                color(column.color),
                Text(column.name),
                column.bookings.len()
            ),
        );
        for (booking, place) in column.bookings.iter().zip(places) {
            block(&mut html, day, reference, booking, place);
        }
        html.push_str("</ol></section>");
    }
    html.push_str("</div>");
    if columns.is_empty() {
        html.push_str("<p>Nobody works here yet.</p>");
    }
    html
}

/// Everyone who works here, by name, and those who have left but have bookings.
fn columns<'a>(reference: &'a TenantReference, bookings: &'a [BookingView]) -> Vec<Column<'a>> {
    let mut columns: Vec<(bool, &str, StaffId, Column<'a>)> = Vec::new();
    let unknown =
        bookings.iter().map(|booking| booking.details.staff_id).filter(|id| !reference.staff.contains_key(id));
    let mut staff: Vec<StaffId> = reference.staff.keys().copied().chain(unknown).collect();
    staff.sort_unstable();
    staff.dedup();
    for id in staff {
        let member = reference.staff.get(&id);
        let mut own: Vec<&BookingView> = bookings.iter().filter(|booking| booking.details.staff_id == id).collect();
        own.sort_by_key(|booking| (booking.details.slot.start, booking.id));
        let active = member.is_some_and(|member| member.active);
        if active || !own.is_empty() {
            let name = member.map_or("Former member", |member| &member.display_name);
            let color = member.map_or("", |member| &member.color);
            columns.push((!active, name, id, Column { name, color, bookings: own }));
        }
    }
    columns.sort_by_key(|(left, name, id, _)| (*left, *name, *id));
    columns.into_iter().map(|(.., column)| column).collect()
}

fn block(html: &mut String, day: &Day, reference: &TenantReference, booking: &BookingView, place: Place) {
    let details = &booking.details;
    let service = details.service_id.and_then(|id| reference.services.get(&id));
    let service = service.map_or("Without service", |service| &service.name);
    let from = day.minute_of(details.slot.start);
    let length = day.minute_of(details.slot.end) - from;
    let Place { lane, lanes } = place;
    write(
        html,
        format_args!(
            "<li id=\"booking-{}\" class=\"{}\" tabindex=\"0\" \
             style=\"--from:{from};--length:{length};--lane:{lane};--lanes:{lanes}\">\
             <time>{}–{}</time> <b>{}</b> <i>{}</i></li>",
            booking.id,
            details.status.as_str(),
            day.clock_at(details.slot.start),
            day.clock_at(details.slot.end),
            Text(service),
            words(details.status),
        ),
    );
}

fn words(status: BookingStatus) -> &'static str {
    match status {
        BookingStatus::Pending => "pending",
        BookingStatus::Scheduled => "scheduled",
        BookingStatus::Confirmed => "confirmed",
        BookingStatus::CheckedIn => "checked in",
        BookingStatus::Completed => "completed",
        BookingStatus::NoShow => "no-show",
        BookingStatus::Cancelled => "cancelled",
    }
}

/// Salons may have stored anything as a colour: what isn't one must not reach a style.
fn color(stored: &str) -> &str {
    let digits = stored.strip_prefix('#').unwrap_or_default();
    let is_color = matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_color { stored } else { "gray" }
}

fn write(html: &mut String, arguments: std::fmt::Arguments<'_>) {
    html.write_fmt(arguments).expect("a String takes any text");
}
