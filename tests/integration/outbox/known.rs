//! Endpoints that begin to hear of bookings which are there already.

use codeccloud::ports::{WebhookChange, Webhooks};

use super::house::{House, Manner};
use super::sink::MailSink;
use crate::support::receiver::Receiver;

fn events(receiver: &Receiver) -> Vec<String> {
    receiver.calls().iter().map(|call| call.event().1).collect()
}

const LATER: &str = "slot_start = slot_start + interval '3 hours', slot_end = slot_end + interval '3 hours'";

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_hears_of_bookings_that_are_older_than_it() {
    let house = House::build().await;
    let worker = house.worker(Manner::default()).await;
    let (first, second) = (house.book(None, 0).await, house.book(None, 1).await);
    house.settled().await;
    let receiver = Receiver::that_answers(200);
    house.endpoint(&receiver.url).await;
    house.change(first, "status = 'confirmed'").await;
    receiver.called(1).await;
    house.change(second, LATER).await;
    receiver.called(2).await;
    house.change(first, "status = 'checked_in'").await;
    receiver.called(3).await;
    worker.stop().await;
    assert_eq!(events(&receiver), ["confirmed", "rescheduled", "checked_in"]);
}

/// What became of the booking while the endpoint was off is not told when something else does.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_off_hears_nothing_stale() {
    let house = House::build().await;
    let receiver = Receiver::that_answers(200);
    let (id, _) = house.endpoint(&receiver.url).await;
    let worker = house.worker(Manner::default()).await;
    let booking = house.book(None, 0).await;
    receiver.called(1).await;
    let endpoints = house.endpoints();
    let switch = async |active| {
        let to = WebhookChange { active: Some(active), ..WebhookChange::default() };
        endpoints.change(house.tenant_id, house.manager, id, to, None).await.unwrap();
    };
    switch(false).await;
    house.change(booking, LATER).await;
    house.settled().await;
    switch(true).await;
    house.change(booking, "notes = 'no news'").await;
    house.change(booking, "status = 'confirmed'").await;
    receiver.called(2).await;
    house.settled().await;
    worker.stop().await;
    assert_eq!(events(&receiver), ["scheduled", "confirmed"]);
}

/// An endpoint that comes between a booking and its planning takes nobody's mail away.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_are_still_to_be_told_stays_news() {
    let (house, sink) = (House::build().await, MailSink::start());
    let mailing = || Manner { smtp_port: Some(sink.port), ..Manner::default() };
    let (id, _) = house.endpoint(&Receiver::that_answers(200).url).await;
    let endpoints = house.endpoints();
    let switch = async |active| {
        let to = WebhookChange { active: Some(active), ..WebhookChange::default() };
        endpoints.change(house.tenant_id, house.manager, id, to, None).await.unwrap();
    };
    switch(false).await;
    house.worker(mailing()).await.stop().await;
    house.book(Some(house.customer("zoe@example.ch").await), 0).await;
    switch(true).await;
    let worker = house.worker(mailing()).await;
    sink.received(1).await;
    worker.stop().await;
}

/// Mail, too, begins with how bookings are.
#[tokio::test(flavor = "multi_thread")]
async fn mail_that_begins_tells_nothing_stale() {
    let (house, sink, receiver) = (House::build().await, MailSink::start(), Receiver::that_answers(200));
    let (id, _) = house.endpoint(&receiver.url).await;
    let customer = house.customer("zoe@example.ch").await;
    let worker = house.worker(Manner::default()).await;
    let booking = house.book(Some(customer), 0).await;
    receiver.called(1).await;
    let off = WebhookChange { active: Some(false), ..WebhookChange::default() };
    house.endpoints().change(house.tenant_id, house.manager, id, off, None).await.unwrap();
    house.change(booking, LATER).await;
    house.settled().await;
    worker.stop().await;
    let worker = house.worker(Manner { smtp_port: Some(sink.port), ..Manner::default() }).await;
    house.change(booking, "notes = 'no news'").await;
    house.change(booking, "status = 'cancelled', cancelled_at = now()").await;
    let mails = sink.received(1).await;
    house.settled().await;
    worker.stop().await;
    assert_eq!(sink.mails().len(), 1);
    assert!(mails[0]["subject"].as_str().unwrap().starts_with("Ihr Termin wurde abgesagt"), "{mails:?}");
}
