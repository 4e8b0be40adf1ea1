//! Mail of a real server, from its settings to the mail server: what is booked over HTTP, in both modes, and by which way.

use serde_json::{Value, json};

use super::mails::property;
use super::sink::MailSink;
use crate::support::certificates::Authority;
use crate::support::{Mode, Salon, Server, TestDir, connect, in_both_modes, key, output};

in_both_modes!(what_becomes_of_a_booking_is_mailed_to_its_customer);

pub fn environment<'a>(port: &'a str, encryption: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("CODECCLOUD_SMTP_HOST", "127.0.0.1"),
        ("CODECCLOUD_SMTP_PORT", port),
        ("CODECCLOUD_SMTP_ENCRYPTION", encryption),
        ("CODECCLOUD_SMTP_FROM", "no-reply@codeccloud.test"),
    ]
}

/// The booking's id.
async fn booked(server: &Server, salon: &Salon) -> String {
    let booked = server.post(salon, "/v1/bookings", &key(), &salon.booking(0, 0, 0)).await;
    assert_eq!(booked.status, 201, "{}", booked.text);
    booked.json()["booking"]["id"].as_str().unwrap().to_owned()
}

async fn what_becomes_of_a_booking_is_mailed_to_its_customer(mode: Mode) {
    let (dir, sink) = (TestDir::new(), MailSink::start());
    let server = mode.start_with(dir.path(), &environment(&sink.port.to_string(), "none"));
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let id = booked(&server, &salon).await;
    let path = |step: &str| format!("/v1/bookings/{id}/{step}");
    // To July.
    let later = salon.booking(0, 25, 2);
    let to = json!({ "bookingId": id, "slotStart": later["slotStart"], "slotEnd": later["slotEnd"] });
    for (step, body) in [("reschedule", to), ("cancel", json!({ "bookingId": id, "reason": "ill" }))] {
        let changed = server.post(&salon, &path(step), &key(), &body).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
    }
    let mails = sink.received(3).await;
    let expected = [
        ("Ihr Termin ist bestätigt", "Montag, 2. Juni 2031, 09:00–09:30 Uhr", "REQUEST", "20310602T070000Z"),
        ("Ihr Termin wurde verschoben", "Neu: Montag, 7. Juli 2031, 10:00–10:30 Uhr", "REQUEST", "20310707T080000Z"),
        ("Ihr Termin wurde abgesagt", "Montag, 7. Juli 2031, 10:00–10:30 Uhr", "CANCEL", "20310707T080000Z"),
    ];
    for (sequence, (mail, (subject, time, method, start))) in mails.iter().zip(expected).enumerate() {
        assert_eq!(mail["subject"], format!("{subject}: Salon Aare"));
        assert_eq!(mail["recipients"], json!(["anna@example.ch"]));
        assert_eq!(mail["from"], "Salon Aare <no-reply@codeccloud.test>");
        let body = mail["body"].as_str().unwrap();
        assert!(body.starts_with("Guten Tag Anna Muster") && body.lines().any(|line| line == time), "{body}");
        assert_eq!((&mail["method"], &mail["defects"]), (&json!(method), &json!([])));
        let calendar = ["METHOD:", "SEQUENCE:", "DTSTART:", "UID:"].map(|name| property(mail, name));
        assert_eq!(calendar, [method, &sequence.to_string(), start, &format!("{id}@codeccloud.ch")]);
    }
    server.stop();
    assert_eq!(sink.mails().len(), 3);
}

/// The way to a mail server elsewhere: encrypted, to nobody but that server, and with a login.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_proves_who_it_is_and_is_told_who_we_are() {
    let authority = Authority::new();
    let issued = authority.issue("mail.example", "127.0.0.1");
    let (certificate, secret) = (issued.join("server.crt"), issued.join("server.key"));
    let files = ["--certificate", certificate.to_str().unwrap(), "--key", secret.to_str().unwrap()];
    let login = ["--user", "salon", "--password", "open sesame"];
    for encryption in ["starttls", "tls"] {
        let sink = MailSink::start_with(&[&["--encryption", encryption], &files[..], &login[..]].concat());
        let port = sink.port.to_string();
        let trusted = authority.file();
        let signing_in = [
            ("CODECCLOUD_SMTP_CA_FILE", trusted.to_str().unwrap()),
            ("CODECCLOUD_SMTP_USERNAME", "salon"),
            ("CODECCLOUD_SMTP_PASSWORD", "open sesame"),
        ];
        let (_dir, server) = booked_with(&[&environment(&port, encryption)[..], &signing_in[..]].concat()).await;
        let mail = sink.received(1).await.remove(0);
        assert_eq!((&mail["encrypted"], &mail["signedInAs"]), (&json!(true), &json!("salon")), "{encryption}");
        server.stop();
    }
    // Somebody else's authority, and those that browsers trust.
    let stranger = Authority::new();
    for (encryption, trusted) in [("starttls", stranger.file().to_str().unwrap()), ("tls", "")] {
        let sink = MailSink::start_with(&[&["--encryption", encryption], &files[..], &login[..]].concat());
        let port = sink.port.to_string();
        let only = [("CODECCLOUD_SMTP_CA_FILE", trusted)];
        let (dir, server) = booked_with(&[&environment(&port, encryption)[..], &only[..]].concat()).await;
        let superuser = connect(output(dir.path(), &["database", "url", "--superuser"]).trim()).await;
        let reason = "SELECT reason FROM outbox_deliveries WHERE attempts > 0 AND reason IS NOT NULL";
        let reason: String = loop {
            if let Some(row) = superuser.query_opt(reason, &[]).await.unwrap() {
                break row.get(0);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        assert_eq!(reason, "the connection to the mail server can't be encrypted", "{encryption}");
        server.stop();
        assert_eq!(sink.mails(), Vec::<Value>::new());
    }
}

async fn booked_with(environment: &[(&str, &str)]) -> (TestDir, Server) {
    let dir = TestDir::new();
    let server = Mode::Mvp.start_with(dir.path(), environment);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    booked(&server, &salon).await;
    (dir, server)
}
