//! The calendar entry of a booking: the small part of RFC 5545 and 5546 that it takes. Its UID is the booking's, so that
//! calendars change the entry that they have.

use codeccloud_actors::time::Timestamp;

use super::Notice;
use super::mail::Mail;

/// RFC 5545, section 3.1, without the line break.
const LINE_OCTETS_MAX: usize = 75;

impl Notice {
    pub fn method(self) -> &'static str {
        match self {
            Notice::Confirmed | Notice::Moved => "REQUEST",
            Notice::Cancelled => "CANCEL",
        }
    }

    fn status(self) -> &'static str {
        match self {
            Notice::Confirmed | Notice::Moved => "CONFIRMED",
            Notice::Cancelled => "CANCELLED",
        }
    }
}

/// `organizer` is the address that the mail comes from.
pub fn event(mail: &Mail<'_>, organizer: &str) -> String {
    let (message, salon) = (mail.message, mail.salon);
    let summary = match &salon.service {
        Some(service) => format!("{service}, {}", salon.name),
        None => salon.name.clone(),
    };
    let customer_name = format!("{} {}", mail.customer.first_name, mail.customer.last_name);
    let lines = [
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//CodecCloud//Bookings//EN".to_owned(),
        format!("METHOD:{}", mail.notice.method()),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{}@codeccloud.ch", message.booking_id),
        format!("SEQUENCE:{}", message.sequence),
        format!("DTSTAMP:{}", utc(message.changed_at)),
        format!("DTSTART:{}", utc(message.slot.start)),
        format!("DTEND:{}", utc(message.slot.end)),
        format!("SUMMARY:{}", text(&summary)),
        format!("LOCATION:{}", text(&salon.name)),
        format!("STATUS:{}", mail.notice.status()),
        format!("ORGANIZER;CN={}:mailto:{organizer}", parameter(&salon.name)),
        format!("ATTENDEE;CN={};RSVP=FALSE:mailto:{}", parameter(&customer_name), mail.customer.email),
        "END:VEVENT".to_owned(),
        "END:VCALENDAR".to_owned(),
    ];
    lines.iter().map(|line| folded(line)).collect()
}

fn utc(instant: Timestamp) -> String {
    instant.to_jiff().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Escaped as values of type TEXT are; control characters other than line breaks have no place in one.
fn text(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// Quoted as a parameter, which has no way to write a quote.
fn parameter(value: &str) -> String {
    let plain: String = value.chars().filter(|c| !c.is_control()).map(|c| if c == '"' { '\'' } else { c }).collect();
    format!("\"{plain}\"")
}

/// With its line break, and broken where it is too long: never within a character.
fn folded(line: &str) -> String {
    let mut folded = String::with_capacity(line.len() + 8);
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > LINE_OCTETS_MAX {
            folded.push_str("\r\n ");
            octets = 1;
        }
        folded.push(c);
        octets += c.len_utf8();
    }
    folded + "\r\n"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_escaped_and_parameters_quoted() {
        assert_eq!(text("Cut, wash; dry\\\r\nand \u{7}go"), "Cut\\, wash\\; dry\\\\\\nand go");
        assert_eq!(parameter("Anna \"A\" Muster;\n"), "\"Anna 'A' Muster;\"");
    }

    proptest! {
        #[test]
        fn folded_lines_are_short_and_unfold_to_what_they_were(line in "[a-zäöüé€💇 ]{0,300}") {
            let folded = folded(&line);
            for part in folded.trim_end_matches("\r\n").split("\r\n") {
                prop_assert!(part.len() <= LINE_OCTETS_MAX, "{}", part);
            }
            prop_assert_eq!(folded.replace("\r\n ", ""), line + "\r\n");
        }
    }
}
