//! Mail servers that are busy, away, hang, or don't say goodbye.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::house::{House, Manner, quick};
use super::sink::MailSink;

/// Says what a mail server says, up to a command that it never answers.
pub struct Scripted {
    pub port: u16,
    mails: Arc<AtomicUsize>,
}

impl Scripted {
    /// Nothing is its greeting.
    pub fn that_hangs_at(command: &'static str) -> Scripted {
        Scripted::start(command, |_| "250 OK")
    }

    fn start(hangs_at: &'static str, answer: impl Fn(&str) -> &'static str + Send + Sync + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, mails, answer) = (listener.local_addr().unwrap().port(), Arc::default(), Arc::new(answer));
        let taken: Arc<AtomicUsize> = Arc::clone(&mails);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (taken, answer) = (taken.clone(), answer.clone());
                std::thread::spawn(move || converse(&stream, hangs_at, &taken, &*answer));
            }
        });
        Scripted { port, mails }
    }
}

fn converse(mut stream: &TcpStream, hangs_at: &str, taken: &AtomicUsize, answer: &dyn Fn(&str) -> &'static str) {
    let mut is_content = false;
    let greeting = std::iter::once(Ok(String::new()));
    for line in greeting.chain(BufReader::new(stream).lines()).map_while(Result::ok) {
        let command = line.split([' ', ':']).next().unwrap_or_default();
        let reply = match command {
            "." => {
                is_content = false;
                taken.fetch_add(1, Ordering::SeqCst);
                "250 taken"
            }
            _ if is_content => continue,
            _ if command == hangs_at => {
                std::thread::sleep(Duration::from_secs(60));
                return;
            }
            "" => "220 here",
            "DATA" => {
                is_content = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => answer(command),
        };
        if write!(stream, "{reply}\r\n").is_err() {
            return;
        }
    }
}

async fn mailing(house: &House, port: u16, attempts: u32) -> codeccloud::outbox::OutboxWorker {
    let manner = Manner {
        smtp_port: Some(port),
        smtp_timeout: Duration::from_millis(400),
        schedule: quick(attempts),
        ..Manner::default()
    };
    house.worker(manner).await
}

async fn dead(house: &House, port: u16) -> (serde_json::Value, serde_json::Value) {
    let worker = mailing(house, port, 2).await;
    house.book(Some(house.customer("zoe@example.ch").await), 0).await;
    let dead = house.in_state("dead", 1).await.remove(0);
    worker.stop().await;
    (dead["attempts"].clone(), dead["reason"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_never_says_goodbye_gets_a_mail_once() {
    let (house, server) = (House::build().await, Scripted::that_hangs_at("QUIT"));
    let worker = mailing(&house, server.port, 5).await;
    house.book(Some(house.customer("zoe@example.ch").await), 0).await;
    let done = house.in_state("done", 1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    worker.stop().await;
    assert_eq!((&done[0]["attempts"], server.mails.load(Ordering::SeqCst)), (&json!(1), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_hangs_is_given_up_step_by_step() {
    for hangs_at in ["", "EHLO", "RCPT"] {
        let (house, server) = (House::build().await, Scripted::that_hangs_at(hangs_at));
        let begun = std::time::Instant::now();
        assert_eq!(dead(&house, server.port).await, (json!(2), json!("the mail server took too long")), "{hangs_at}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{hangs_at}: {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_is_away_is_asked_again() {
    let house = House::build().await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(dead(&house, free).await, (json!(2), json!("the mail server can't be reached")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_mailbox_is_tried_again_and_a_refused_sender_is_no_matter_of_the_recipient() {
    let (house, sink) = (House::build().await, MailSink::start());
    let worker = mailing(&house, sink.port, 3).await;
    house.book(Some(house.customer("busy@example.ch").await), 0).await;
    let busy = house.in_state("dead", 1).await.remove(0);
    worker.stop().await;
    assert_eq!((&busy["attempts"], &busy["response_status"]), (&json!(3), &json!(451)));
    assert_eq!(sink.mails().len(), 0);

    let house = House::build().await;
    let server = Scripted::start("-", |command| if command == "MAIL" { "550 relay denied" } else { "250 OK" });
    assert_eq!(dead(&house, server.port).await, (json!(2), json!("the mail server answered 550")));
}
