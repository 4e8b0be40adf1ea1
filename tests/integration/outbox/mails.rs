//! What customers get, read by Python's own library.

use serde_json::Value;

use super::house::{House, Manner};
use super::sink::MailSink;
use crate::support::Database;

fn mailing(sink: &MailSink) -> Manner {
    Manner { smtp_port: Some(sink.port), ..Manner::default() }
}

fn property(mail: &Value, name: &str) -> String {
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

#[tokio::test(flavor = "multi_thread")]
async fn each_salon_writes_in_its_language() {
    let (house, sink) = (House::on(Database::create().await, "fr-CH").await, MailSink::start());
    let worker = house.worker(mailing(&sink)).await;
    let customer = house.customer("zoe@example.ch").await;
    let words = [
        ("fr-CH", "Votre rendez-vous est confirmé", "lundi 2 juin 2031, 09:00–09:30"),
        ("it-CH", "Il suo appuntamento è confermato", "lunedì 2 giugno 2031, 09:30–10:00"),
        ("en-CH", "Your appointment is confirmed", "Monday 2 June 2031, 10:00–10:30"),
        ("de-CH", "Ihr Termin ist bestätigt", "Montag, 2. Juni 2031, 10:30–11:00 Uhr"),
    ];
    for (number, (locale, subject, time)) in (0..).zip(words) {
        house.rows.execute("UPDATE tenants SET locale = $1", &[&locale]).await.unwrap();
        house.book(Some(customer), number).await;
        let mail = sink.received(usize::try_from(number).unwrap() + 1).await.pop().unwrap();
        assert_eq!(mail["subject"], format!("{subject}: Salon Aare"));
        assert!(mail["body"].as_str().unwrap().contains(time), "{mail}");
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
