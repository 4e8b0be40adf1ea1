//! What is listed can be booked, and nothing else: on a day like others, and in the nights in which clocks change.

use codeccloud::clock::SystemIds;
use codeccloud_actors::ports::Ids;
use codeccloud_actors::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::{get, post, send, with};
use crate::support::{Mode, Salon, Server, TestDir, in_both_modes};

in_both_modes!(
    each_slot_that_is_listed_can_be_booked_and_no_other,
    the_hour_that_spring_skips_is_not_listed_and_the_one_that_autumn_repeats_is_two,
);

async fn each_slot_that_is_listed_can_be_booked_and_no_other(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    // In the middle of the day a booking with a buffer behind it, and later on something else to do.
    let long = json!({ "name": "Peeling", "durationMinutes": 60, "price": salon.price, "bufferAfterMinutes": 20 });
    let long = post(&server, &manager, "/v1/services", &long).await.body["id"].clone();
    let booked = with(slot(&salon, 0, "2031-06-02T09:05:00Z", 60), "/serviceId", long);
    assert_eq!(post(&server, &salon, "/v1/bookings", &booked).await.status, 201);
    let busy = json!({ "start": "2031-06-02T12:10:00Z", "end": "2031-06-02T13:00:00Z" });
    let path = format!("/v1/staff/{}/time-off", salon.staff_ids[0]);
    assert_eq!(post(&server, &manager, &path, &busy).await.status, 201);

    let morning: Timestamp = "2031-06-02T05:00:00Z".parse().unwrap();
    let listed =
        listed(&server, &salon, 0, "from=2031-06-02T05:00:00Z&to=2031-06-02T19:00:00Z&granularityMinutes=15").await;
    assert!((12..40).contains(&listed.len()), "{listed:?}");
    for quarter in 0..4 * 14 {
        let start = morning.plus_minutes(quarter * 15).to_string();
        let answer = post(&server, &salon, "/v1/bookings", &slot(&salon, 0, &start, salon.duration_minutes)).await;
        let expected = if listed.contains(&start) { 201 } else { 409 };
        assert_eq!(answer.status, expected, "{start}: {} {listed:?}", answer.body);
        if answer.status == 201 {
            let id = &answer.body["booking"]["id"];
            let path = format!("/v1/bookings/{}/cancel", id.as_str().unwrap());
            assert_eq!(post(&server, &salon, &path, &json!({ "bookingId": id })).await.status, 200);
        }
    }
}

/// Europe/Zurich skips 2031-03-30 02:00 to 03:00 and repeats 2031-10-26 02:00 to 03:00.
async fn the_hour_that_spring_skips_is_not_listed_and_the_one_that_autumn_repeats_is_two(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let (spring, autumn) = ("2031-03-30", "2031-10-26");
    let nights = [
        (0, spring, "02:00", "03:00", &[][..]),
        (1, spring, "01:30", "03:30", &["00:30", "01:00"]),
        (0, autumn, "02:00", "03:00", &["00:00", "00:30", "01:00", "01:30"]),
        (1, autumn, "02:00", "02:30", &["00:00", "01:00"]),
    ];
    for (person, day, start, end, expected) in nights {
        let path = format!("/v1/staff/{}/exceptions/{day}", salon.staff_ids[person]);
        let hours = json!({ "intervals": [{ "start": start, "end": end }] });
        assert_eq!(send(&server, &manager, Method::PUT, &path, &hours).await.status, 200);
        let span = format!("from={day}T00:00:00Z&to={day}T03:00:00Z&granularityMinutes=30");
        let starts = listed(&server, &salon, person, &span).await;
        let expected: Vec<String> = expected.iter().map(|time| format!("{day}T{time}:00.000Z")).collect();
        assert_eq!(starts, expected, "{start} to {end} on {day}");
        for half_hour in 0..5 {
            let start =
                format!("{day}T00:00:00Z").parse::<Timestamp>().unwrap().plus_minutes(half_hour * 30).to_string();
            let answer = post(&server, &salon, "/v1/bookings", &slot(&salon, person, &start, 30)).await;
            assert_eq!(answer.status, if starts.contains(&start) { 201 } else { 409 }, "{start}: {}", answer.body);
        }
    }
}

/// The starts of the slots that a person is free for.
async fn listed(server: &Server, salon: &Salon, person: usize, span: &str) -> Vec<String> {
    let (service, staff) = (&salon.service_id, &salon.staff_ids[person]);
    let path = format!("/v1/bookings/availability?serviceId={service}&staffId={staff}&{span}");
    let answer = get(server, salon, &path).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let slots = answer.body["slots"].as_array().unwrap();
    slots.iter().map(|slot| slot["slotStart"].as_str().unwrap().to_owned()).collect()
}

/// A booking by somebody else each time.
fn slot(salon: &Salon, person: usize, start: &str, minutes: i64) -> Value {
    let start: Timestamp = start.parse().unwrap();
    let mut body = salon.booking(person, 0, 0);
    (body["slotStart"], body["slotEnd"]) = (json!(start), json!(start.plus_minutes(minutes)));
    with(body, "/customer/id", json!(SystemIds.uuid()))
}
