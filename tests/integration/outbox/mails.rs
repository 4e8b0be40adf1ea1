//! What customers get, read by Python's own library.

use serde_json::Value;

use super::house::{House, Manner};
use super::sink::MailSink;
use crate::support::Database;

fn mailing(sink: &MailSink) -> Manner {
    Manner { smtp_port: Some(sink.port), ..Manner::default() }
}

pub fn property(mail: &Value, name: &str) -> String {
    let unfolded = mail["calendar"].as_str().unwrap().replace("\r\n ", "");
    let value = unfolded.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap_or_else(|| panic!("no {name} in {unfolded}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_confirmed_moved_across_months_and_cancelled() {
    let (house, sink) = (House::build().await, MailSink::start());
    let worker = house.worker(mailing(&sink)).await;
    let booking = house.book(Some(house.customer("zoe@example.ch").await), 0).await;
    house.change(booking, "notes = 'no news'").await;
    house.change(booking, "slot_start = '2031-07-01 08:00Z', slot_end = '2031-07-01 08:30Z'").await;
    house.change(booking, "status = 'cancelled', cancelled_at = now()").await;
    house.settled().await;
    worker.stop().await;

    let mails = sink.mails();
    let seen: Vec<_> = mails.iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    let expected = ["Ihr Termin ist bestätigt", "Ihr Termin wurde verschoben", "Ihr Termin wurde abgesagt"];
    assert_eq!(seen, expected.map(|subject| format!("{subject}: Salon Aare")));
    for (mail, (method, sequence)) in mails.iter().zip([("REQUEST", "0"), ("REQUEST", "1"), ("CANCEL", "2")]) {
        assert_eq!(mail["defects"], serde_json::json!([]));
        assert_eq!(mail["recipients"], serde_json::json!(["zoe@example.ch"]));
        assert_eq!(mail["from"], "Salon Aare <no-reply@codeccloud.test>");
        assert_eq!(mail["method"], method);
        assert_eq!(property(mail, "METHOD:"), method);
        assert_eq!(property(mail, "UID:"), format!("{booking}@codeccloud.ch"));
        assert_eq!(property(mail, "SEQUENCE:"), sequence);
        assert_eq!(property(mail, "SUMMARY:"), "Schneiden\\, Föhnen\\; kurz\\, Salon Aare");
    }
    let body = mails[0]["body"].as_str().unwrap();
    assert_eq!(body.lines().next(), Some("Guten Tag Zoë Müller"));
    assert!(body.contains("Montag, 2. Juni 2031, 09:00–09:30 Uhr"), "in the salon's zone: {body}");
    assert!(body.contains("Schneiden, Föhnen; kurz bei Bea"), "{body}");
    assert!(mails[1]["body"].as_str().unwrap().contains("Neu: Dienstag, 1. Juli 2031, 10:00–10:30 Uhr"));
    assert_eq!(property(&mails[0], "DTSTART:"), "20310602T070000Z");
    assert_eq!(property(&mails[1], "DTSTART:"), "20310701T080000Z");
    assert_eq!(property(&mails[2], "STATUS:"), "CANCELLED");
}

/// What is said of a booking in June, of its move to July, and of its end.
struct Words {
    locale: &'static str,
    zone: &'static str,
    subjects: [&'static str; 3],
    before: &'static str,
    moved: &'static str,
    after: &'static str,
}

const WORDS: [Words; 5] = [
    Words {
        locale: "fr-CH",
        zone: "Europe/Zurich",
        subjects: [
            "Votre rendez-vous est confirmé",
            "Votre rendez-vous a été déplacé",
            "Votre rendez-vous a été annulé",
        ],
        before: "lundi 2 juin 2031, 09:00–09:30",
        moved: "Nouvel horaire: mardi 1er juillet 2031, 04:00–04:30",
        after: "mardi 1er juillet 2031, 04:00–04:30",
    },
    Words {
        locale: "it-CH",
        zone: "Europe/Zurich",
        subjects: [
            "Il suo appuntamento è confermato",
            "Il suo appuntamento è stato spostato",
            "Il suo appuntamento è stato annullato",
        ],
        before: "lunedì 2 giugno 2031, 09:00–09:30",
        moved: "Nuovo orario: martedì 1º luglio 2031, 04:00–04:30",
        after: "martedì 1º luglio 2031, 04:00–04:30",
    },
    Words {
        locale: "en-CH",
        zone: "Europe/Zurich",
        subjects: [
            "Your appointment is confirmed",
            "Your appointment has been moved",
            "Your appointment has been cancelled",
        ],
        before: "Monday 2 June 2031, 09:00–09:30",
        moved: "New time: Tuesday 1 July 2031, 04:00–04:30",
        after: "Tuesday 1 July 2031, 04:00–04:30",
    },
    Words {
        locale: "de-CH",
        zone: "Europe/Zurich",
        subjects: ["Ihr Termin ist bestätigt", "Ihr Termin wurde verschoben", "Ihr Termin wurde abgesagt"],
        before: "Montag, 2. Juni 2031, 09:00–09:30 Uhr",
        moved: "Neu: Dienstag, 1. Juli 2031, 04:00–04:30 Uhr",
        after: "Dienstag, 1. Juli 2031, 04:00–04:30 Uhr",
    },
    // Where it is another day, and another month.
    Words {
        locale: "en-CH",
        zone: "America/New_York",
        subjects: [
            "Your appointment is confirmed",
            "Your appointment has been moved",
            "Your appointment has been cancelled",
        ],
        before: "Monday 2 June 2031, 03:00–03:30",
        moved: "New time: Monday 30 June 2031, 22:00–22:30",
        after: "Monday 30 June 2031, 22:00–22:30",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_salon_writes_in_its_language_and_by_its_clock() {
    let (house, sink) = (House::on(Database::create().await, "fr-CH").await, MailSink::start());
    let worker = house.worker(mailing(&sink)).await;
    let customer = house.customer("zoe@example.ch").await;
    for (nth, Words { locale, zone, subjects, before, moved, after }) in WORDS.iter().enumerate() {
        house.rows.execute("UPDATE tenants SET locale = $1", &[locale]).await.unwrap();
        house.rows.execute("UPDATE tenant_settings SET time_zone = $1", &[zone]).await.unwrap();
        let booking = house.book(Some(customer), 0).await;
        house.change(booking, "slot_start = '2031-07-01 02:00Z', slot_end = '2031-07-01 02:30Z'").await;
        house.change(booking, "status = 'cancelled', cancelled_at = now()").await;
        let mails = sink.received(3 * (nth + 1)).await.split_off(3 * nth);
        let instants = ["20310602T070000Z", "20310701T020000Z", "20310701T020000Z"];
        let expected = subjects.iter().zip([before, moved, after]).zip(["REQUEST", "REQUEST", "CANCEL"]).zip(instants);
        for (sequence, (mail, (((subject, time), method), instant))) in mails.iter().zip(expected).enumerate() {
            assert_eq!(mail["subject"], format!("{subject}: Salon Aare"));
            let body = mail["body"].as_str().unwrap();
            for said in [time.to_string(), format!("{subject}.")] {
                assert!(body.lines().any(|line| line == said), "{said} in {zone}: {body}");
            }
            assert_eq!(mail["method"], method);
            let calendar = ["METHOD:", "SEQUENCE:", "DTSTART:"].map(|name| property(mail, name));
            assert_eq!(calendar, [method, &sequence.to_string(), instant], "{locale}");
        }
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_mailed_who_is_not_there_or_about_what_is_over() {
    let (house, sink) = (House::build().await, MailSink::start());
    let erased = house.customer("erased@example.ch").await;
    house.rows.execute("DELETE FROM vault_customers WHERE customer_id = $1", &[&erased.0]).await.unwrap();
    let here = house.customer("zoe@example.ch").await;
    house.book(Some(erased), 0).await;
    house.book(None, 1).await;
    let past = house.book(Some(here), 2).await;
    let yesterday = "slot_start = now() - interval '1 day', slot_end = now() - interval '23 hours'";
    house.change(past, yesterday).await;
    let worker = house.worker(mailing(&sink)).await;
    house.settled().await;
    worker.stop().await;
    let states: Vec<_> = house.deliveries().await.iter().map(|d| (d["state"].clone(), d["reason"].clone())).collect();
    let skipped = |reason: &str| ("skipped".into(), reason.into());
    assert_eq!(
        states,
        [
            skipped("the vault has no such customer"),
            skipped("the booking has no customer"),
            ("done".into(), serde_json::Value::Null),
        ]
    );
    assert_eq!(sink.mails().len(), 1, "the first slot of the booking that is over by now");
}

/// The server's words quote the address; what is kept does not.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_exist_is_a_dead_letter_without_the_address() {
    let (house, sink) = (House::build().await, MailSink::start());
    let worker = house.worker(mailing(&sink)).await;
    house.book(Some(house.customer("gone@example.ch").await), 0).await;
    let dead = house.in_state("dead", 1).await;
    worker.stop().await;
    assert_eq!((&dead[0]["attempts"], &dead[0]["reason"]), (&1.into(), &"the mail server answered 550".into()));
    let stored: String = house
        .rows
        .query_one("SELECT string_agg(d::text, '') || (SELECT string_agg(e::text, '') FROM outbox_events e) FROM outbox_deliveries d", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!stored.contains("example.ch"), "{stored}");
}
