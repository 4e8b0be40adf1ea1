//! What mails say, in each of the country's languages. To add one: a [`Language`] and its arm in each function.

use jiff::civil::DateTime;

use super::Notice;
use super::mail::{Mail, plain};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    German,
    French,
    Italian,
    English,
}

impl Language {
    /// Of a locale such as `de-CH`; English for those that we don't speak.
    pub fn of(locale: &str) -> Language {
        match locale.split(['-', '_']).next().unwrap_or_default() {
            "de" => Language::German,
            "fr" => Language::French,
            "it" => Language::Italian,
            _ => Language::English,
        }
    }

    fn weekdays(self) -> [&'static str; 7] {
        match self {
            Language::German => ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
            Language::French => ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
            Language::Italian => ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"],
            Language::English => ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
        }
    }

    fn months(self) -> [&'static str; 12] {
        match self {
            Language::German => [
                "Januar",
                "Februar",
                "März",
                "April",
                "Mai",
                "Juni",
                "Juli",
                "August",
                "September",
                "Oktober",
                "November",
                "Dezember",
            ],
            Language::French => [
                "janvier",
                "février",
                "mars",
                "avril",
                "mai",
                "juin",
                "juillet",
                "août",
                "septembre",
                "octobre",
                "novembre",
                "décembre",
            ],
            Language::Italian => [
                "gennaio",
                "febbraio",
                "marzo",
                "aprile",
                "maggio",
                "giugno",
                "luglio",
                "agosto",
                "settembre",
                "ottobre",
                "novembre",
                "dicembre",
            ],
            Language::English => [
                "January",
                "February",
                "March",
                "April",
                "May",
                "June",
                "July",
                "August",
                "September",
                "October",
                "November",
                "December",
            ],
        }
    }

    /// By the clock on the salon's wall.
    fn time(self, start: DateTime, end: DateTime) -> String {
        let weekday = self.weekdays()[usize::try_from(start.weekday().to_monday_zero_offset()).expect("0 to 6")];
        let month = self.months()[usize::try_from(start.month() - 1).expect("0 to 11")];
        let (day, year) = (start.day(), start.year());
        let hours = format!("{}–{}", start.strftime("%H:%M"), end.strftime("%H:%M"));
        match self {
            Language::German => format!("{weekday}, {day}. {month} {year}, {hours} Uhr"),
            Language::French if day == 1 => format!("{weekday} 1er {month} {year}, {hours}"),
            Language::Italian if day == 1 => format!("{weekday} 1º {month} {year}, {hours}"),
            Language::French | Language::Italian | Language::English => {
                format!("{weekday} {day} {month} {year}, {hours}")
            }
        }
    }

    fn subject(self, notice: Notice) -> &'static str {
        match (self, notice) {
            (Language::German, Notice::Confirmed) => "Ihr Termin ist bestätigt",
            (Language::German, Notice::Moved) => "Ihr Termin wurde verschoben",
            (Language::German, Notice::Cancelled) => "Ihr Termin wurde abgesagt",
            (Language::French, Notice::Confirmed) => "Votre rendez-vous est confirmé",
            (Language::French, Notice::Moved) => "Votre rendez-vous a été déplacé",
            (Language::French, Notice::Cancelled) => "Votre rendez-vous a été annulé",
            (Language::Italian, Notice::Confirmed) => "Il suo appuntamento è confermato",
            (Language::Italian, Notice::Moved) => "Il suo appuntamento è stato spostato",
            (Language::Italian, Notice::Cancelled) => "Il suo appuntamento è stato annullato",
            (Language::English, Notice::Confirmed) => "Your appointment is confirmed",
            (Language::English, Notice::Moved) => "Your appointment has been moved",
            (Language::English, Notice::Cancelled) => "Your appointment has been cancelled",
        }
    }

    fn new_time(self) -> &'static str {
        match self {
            Language::German => "Neu",
            Language::French => "Nouvel horaire",
            Language::Italian => "Nuovo orario",
            Language::English => "New time",
        }
    }

    fn with(self) -> &'static str {
        match self {
            Language::German => "bei",
            Language::French => "avec",
            Language::Italian => "con",
            Language::English => "with",
        }
    }

    fn greeting(self) -> &'static str {
        match self {
            Language::German => "Guten Tag",
            Language::French => "Bonjour",
            Language::Italian => "Buongiorno",
            Language::English => "Hello",
        }
    }

    fn closing(self) -> &'static str {
        match self {
            Language::German => "Freundliche Grüsse",
            Language::French => "Avec nos meilleures salutations",
            Language::Italian => "Cordiali saluti",
            Language::English => "Kind regards",
        }
    }
}

pub fn subject(mail: &Mail<'_>) -> String {
    format!("{}: {}", Language::of(&mail.salon.locale).subject(mail.notice), mail.salon.name)
}

pub fn body(mail: &Mail<'_>) -> String {
    let (language, salon) = (Language::of(&mail.salon.locale), mail.salon);
    let local = |instant: codeccloud_actors::time::Timestamp| salon.zone.to_datetime(instant.to_jiff());
    let time = language.time(local(mail.message.slot.start), local(mail.message.slot.end));
    let time = match mail.notice {
        Notice::Moved => format!("{}: {time}", language.new_time()),
        Notice::Confirmed | Notice::Cancelled => time,
    };
    let [service, staff] = [&salon.service, &salon.staff].map(|name| name.as_deref().map(plain));
    let what = match (service, staff) {
        (Some(service), Some(staff)) => format!("{service} {} {staff}\n", language.with()),
        (Some(service), None) => format!("{service}\n"),
        (None, _) => String::new(),
    };
    format!(
        "{} {} {}\n\n{}.\n\n{what}{time}\n\n{}\n{}\n",
        language.greeting(),
        plain(&mail.customer.first_name),
        plain(&mail.customer.last_name),
        language.subject(mail.notice),
        language.closing(),
        plain(&salon.name),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
mod tests {
    use codeccloud_actors::ids::{BookingId, StaffId};
    use codeccloud_actors::time::Slot;
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;
    use crate::outbox::{BookingChange, Message, SalonWords};
    use crate::vault::CustomerProfile;

    /// On both sides of a change of the clocks, and with names that would add lines of their own.
    #[test]
    fn times_are_those_of_the_wall_and_names_stay_on_their_line() {
        let time = |text: &str| text.parse().unwrap();
        let said = |start: &str, end: &str| {
            let message = Message {
                change: BookingChange::Scheduled,
                booking_id: BookingId(Uuid::nil()),
                customer_id: None,
                staff_id: StaffId(Uuid::nil()),
                service_id: None,
                slot: Slot::new(time(start), time(end)).unwrap(),
                sequence: 0,
                changed_at: time(start),
            };
            let customer = CustomerProfile {
                email: "zoe@example.ch".to_owned(),
                phone: None,
                first_name: "Zoë\r\n\r\nPay here: https://example.org".to_owned(),
                last_name: "Müller\u{7}".to_owned(),
            };
            let salon = SalonWords {
                name: "Salon\nAare".to_owned(),
                locale: "de-CH".to_owned(),
                zone: jiff::tz::TimeZone::get("Europe/Zurich").unwrap(),
                service: Some("Cut\n".to_owned()),
                staff: Some("\nBea".to_owned()),
            };
            let (delivery_id, notice) = (Uuid::nil(), Notice::Confirmed);
            body(&Mail { delivery_id, notice, message: &message, customer: &customer, salon: &salon })
        };
        let before = said("2031-03-29T08:00:00Z", "2031-03-29T08:30:00Z");
        assert_eq!(
            before.lines().collect::<Vec<_>>(),
            [
                "Guten Tag ZoëPay here: https://example.org Müller",
                "",
                "Ihr Termin ist bestätigt.",
                "",
                "Cut bei Bea",
                "Samstag, 29. März 2031, 09:00–09:30 Uhr",
                "",
                "Freundliche Grüsse",
                "SalonAare",
            ]
        );
        let across = said("2031-03-30T00:30:00Z", "2031-03-30T01:30:00Z");
        assert!(across.contains("Sonntag, 30. März 2031, 01:30–03:30 Uhr"), "an hour is left out: {across}");
        let twice = said("2031-10-26T00:30:00Z", "2031-10-26T01:30:00Z");
        assert!(twice.contains("Sonntag, 26. Oktober 2031, 02:30–02:30 Uhr"), "an hour comes twice: {twice}");
    }

    #[test]
    fn days_are_named_as_people_name_them() {
        let (start, end) = (date(2031, 8, 1).at(9, 0, 0, 0), date(2031, 8, 1).at(9, 45, 0, 0));
        let said = |locale: &str| Language::of(locale).time(start, end);
        assert_eq!(said("de-CH"), "Freitag, 1. August 2031, 09:00–09:45 Uhr");
        assert_eq!(said("fr-CH"), "vendredi 1er août 2031, 09:00–09:45");
        assert_eq!(said("it-CH"), "venerdì 1º agosto 2031, 09:00–09:45");
        assert_eq!(said("en-CH"), "Friday 1 August 2031, 09:00–09:45");
        assert_eq!(Language::of("rm-CH"), Language::English);
    }
}
