//! Two salons alike, one in each mode, of which the same is asked.

use std::path::Path;

use codeccloud::clock::SystemIds;
use codeccloud::demo;
use codeccloud::postgres::embedded::url_of;
use codeccloud::postgres::{DatabaseRole, tenants};
use codeccloud_actors::ports::Ids;
use codeccloud_actors::stage::Stage;
use codeccloud_actors::time::Timestamp;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::figures::figures;
use super::reads::reads;
use super::rows::{Rows, superuser};
use super::stock::{Shelf, StockStep};
use crate::support::totals::{counted, kept};
use crate::support::{Reply, Salon, Server, database_of, key};

#[derive(Debug, Clone)]
pub enum Step {
    Book { person: usize, time: Time, currency: &'static str },
    Move { nth: usize, time: Time },
    Cancel { nth: usize, waive_fee: bool },
    Advance { nth: usize, step: &'static str },
    Redeem { nth: usize, points: u32 },
    Adjust { nth: usize, points: i32 },
    Stock(StockStep),
}

/// When a booking is to be.
#[derive(Debug, Clone, Copy)]
pub enum Time {
    Workday {
        day: i64,
        number: i64,
    },
    /// Where a day, a month or an hour begins or ends; so many quarters of an hour later.
    Edge {
        at: &'static str,
        quarters: i64,
    },
}

impl Time {
    /// Local midnight at a month's end in Zurich and in UTC, and the nights in which clocks change.
    pub const EDGES: [&str; 4] =
        ["2031-06-30T21:00:00Z", "2031-07-31T23:00:00Z", "2031-10-25T21:45:00Z", "2031-03-29T22:45:00Z"];

    fn put(self, salon: &Salon, body: &mut Value) {
        match self {
            Time::Workday { day, number } => {
                let slot = salon.booking(0, day, number);
                (body["slotStart"], body["slotEnd"]) = (slot["slotStart"].clone(), slot["slotEnd"].clone());
            }
            Time::Edge { at, quarters } => {
                let start = at.parse::<Timestamp>().unwrap().plus_minutes(quarters * 15);
                (body["slotStart"], body["slotEnd"]) = (json!(start), json!(start.plus_minutes(90)));
            }
        }
    }
}

pub struct Pair {
    pub transactional: Rows,
    pub dual_written: Rows,
    /// What each salon shows of its bookings, customers' points, stock and figures.
    pub shown: [String; 2],
    /// Of each salon, as they are kept and as its rows add up.
    pub totals: Vec<[Vec<String>; 2]>,
}

impl Pair {
    /// What both salons hold after the steps; an error when one of them answered otherwise than the other.
    pub async fn new(server: &Server, data_dir: &Path, steps: &[Step]) -> Result<Pair, String> {
        let salons = [salon(server, data_dir, Stage::Mvp).await, salon(server, data_dir, Stage::Scale).await];
        let mut shelves = [Shelf::new(server, &salons[0]).await, Shelf::new(server, &salons[1]).await];
        let psql = superuser(data_dir).await;
        // Of both salons the bookings that were made, in the same order.
        let mut bookings: Vec<[Value; 2]> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let mut answers = Vec::new();
            for (which, salon) in salons.iter().enumerate() {
                answers.push(asked(server, salon, step, number, &mut shelves[which], which, &bookings).await);
            }
            let [one, other] = [&answers[0], &answers[1]];
            let (Some(one), Some(other)) = (one, other) else { continue };
            if told(one, &shelves[0]) != told(other, &shelves[1]) {
                return Err(format!("{step:?}: {} in one mode, {} in the other", one.text, other.text));
            }
            if matches!(step, Step::Book { .. }) && one.status == 201 {
                let booked = [one.json()["booking"].clone(), other.json()["booking"].clone()];
                for booking in &booked {
                    Rows::take_chair(&psql, booking["id"].as_str().unwrap().parse().unwrap()).await;
                }
                bookings.push(booked);
            }
        }
        let client = superuser(data_dir).await;
        let mut totals = Vec::new();
        for salon in &salons {
            totals.push([kept(&client, id(salon)).await, counted(&client, id(salon)).await]);
        }
        let mut pages = Vec::new();
        for (which, salon) in salons.iter().enumerate() {
            let made: Vec<&Value> = bookings.iter().map(|both| &both[which]).collect();
            pages.push(shown(server, salon, &shelves[which], &made).await);
        }
        Ok(Pair {
            totals,
            transactional: Rows::of(data_dir, id(&salons[0])).await,
            dual_written: Rows::of(data_dir, id(&salons[1])).await,
            shown: pages.try_into().expect("one of each salon"),
        })
    }

    /// Two salons where much happens at once, and somebody with a psql prompt changes rows of the one in MVP mode.
    pub async fn busy(server: &Server, data_dir: &Path) -> [Uuid; 2] {
        let salons = [salon(server, data_dir, Stage::Mvp).await, salon(server, data_dir, Stage::Scale).await];
        let tenants = [id(&salons[0]), id(&salons[1])];
        let psql = superuser(data_dir).await;
        let by_hand = async {
            for _ in 0..20 {
                let sql = "UPDATE appointments SET status = 'cancelled' WHERE tenant_id = $1 AND status = 'scheduled' \
                           AND id IN (SELECT id FROM appointments WHERE tenant_id = $1 AND status = 'scheduled' LIMIT 1)";
                psql.execute(sql, &[&tenants[0]]).await.unwrap();
                let sql = "UPDATE appointments SET price_cents = price_cents + 100 WHERE tenant_id = $1";
                psql.execute(sql, &[&tenants[0]]).await.unwrap();
            }
        };
        let front_ends = salons.iter().flat_map(|salon| (0..6_i64).map(move |day| (salon, day)));
        let working = join_all(front_ends.map(async |(salon, day)| {
            for number in 0..12 {
                let customer = json!(SystemIds.uuid());
                let mut booking = salon.booking(usize::try_from(number % 3).unwrap(), day, number);
                booking["customer"]["id"] = customer;
                let made = server.post(salon, "/v1/bookings", &key(), &booking).await;
                assert!(matches!(made.status, 201 | 409), "{}", made.text);
                if made.status == 201 {
                    let id = made.json()["booking"]["id"].clone();
                    let step = ["cancel", "check-in", "no-show", "confirm"][usize::try_from(number % 4).unwrap()];
                    let path = format!("/v1/bookings/{}/{step}", id.as_str().unwrap());
                    let changed = server.post(salon, &path, &key(), &json!({ "bookingId": id })).await;
                    assert!(matches!(changed.status, 200 | 409), "{}", changed.text);
                }
            }
        }));
        futures_util::join!(by_hand, working);
        tenants
    }
}

/// A demo salon of its own with the token of an owner, once the server knows it.
async fn salon(server: &Server, data_dir: &Path, stage: Stage) -> Salon {
    let mut operator = database_of(&url_of(data_dir).unwrap()).connect(DatabaseRole::Operator).await.unwrap();
    let mut tenant = demo::salons(&SystemIds, stage).remove(0);
    // Without hours on record a person is there day and night.
    tenant.staff.iter_mut().skip(1).for_each(|person| person.hours.clear());
    tenant.slug = format!("salon-{}", SystemIds.uuid());
    assert!(tenants::create(&mut operator, &tenant).await.unwrap());
    let salon = server.salon_named(data_dir, &tenant.slug).await;
    server.member_of(&salon, data_dir, "owner").await
}

fn id(salon: &Salon) -> Uuid {
    salon.tenant_id.parse().unwrap()
}

/// `None` when there is no booking yet, or no reservation, for the step to be about.
async fn asked(
    server: &Server,
    salon: &Salon,
    step: &Step,
    number: usize,
    shelf: &mut Shelf,
    which: usize,
    bookings: &[[Value; 2]],
) -> Option<Reply> {
    let booking = |nth: usize| bookings.get(nth % bookings.len().max(1)).map(|both| &both[which]);
    let (path, body) = match *step {
        Step::Book { person, time, currency } => {
            let mut body = salon.booking(person, 0, 0);
            time.put(salon, &mut body);
            body["price"]["currency"] = json!(currency);
            body["customer"]["id"] = json!(Uuid::from_u128(0x4000_8000_0000_0000_0000 + number as u128));
            ("/v1/bookings".to_owned(), body)
        }
        Step::Move { nth, time } => {
            let booking = booking(nth)?;
            let mut body = json!({ "bookingId": booking["id"] });
            time.put(salon, &mut body);
            (of(booking, "reschedule"), body)
        }
        Step::Cancel { nth, waive_fee } => {
            let booking = booking(nth)?;
            let body = json!({ "bookingId": booking["id"], "waiveFee": waive_fee, "reason": "ill" });
            (of(booking, "cancel"), body)
        }
        Step::Advance { nth, step } => {
            let booking = booking(nth)?;
            (of(booking, step), json!({ "bookingId": booking["id"] }))
        }
        Step::Stock(ref step) => return shelf.asked(server, salon, step).await,
        Step::Redeem { nth, points } => (account(booking(nth)?, "redeem"), json!({ "points": points })),
        Step::Adjust { nth, points } => (account(booking(nth)?, "adjust"), json!({ "points": points })),
    };
    Some(server.post(salon, &path, &key(), &body).await)
}

async fn shown(server: &Server, salon: &Salon, shelf: &Shelf, bookings: &[&Value]) -> String {
    let mut all = shelf.shown(server, salon).await;
    all.extend(figures(server, salon).await);
    all.extend(reads(server, salon, bookings).await);
    let mut text = all.iter().map(|page| format!("{page}\n")).collect::<String>();
    for (number, staff_id) in salon.staff_ids.iter().enumerate() {
        text = text.replace(staff_id, &format!("person {number}"));
    }
    for (number, booking) in bookings.iter().enumerate() {
        text = text.replace(booking["id"].as_str().unwrap(), &format!("booking {number}"));
    }
    shelf.named(&text.replace(&salon.service_id, "service").replace(&salon.tenant_id, "salon"))
}

fn of(booking: &Value, step: &str) -> String {
    format!("/v1/bookings/{}/{step}", booking["id"].as_str().unwrap())
}

fn account(booking: &Value, step: &str) -> String {
    format!("/v1/loyalty/{}/{step}", booking["customer"]["id"].as_str().unwrap())
}

/// What an answer says, without what is another in each salon: ids, and the time at which it was given.
fn told<'a>(reply: &'a Reply, shelf: &Shelf) -> (u16, Option<&'a str>, Value) {
    let mut body: Value = serde_json::from_str(&shelf.named(&reply.text)).unwrap();
    for id in ["outboxEventId", "requestId", "instance", "reservationId", "expiresAt"] {
        body.as_object_mut().unwrap().remove(id);
    }
    if let Some(booking) = body["booking"].as_object_mut() {
        for id in ["id", "tenantId", "serviceId", "staffId", "createdAt", "updatedAt"] {
            booking.remove(id);
        }
        if let Some(from) = booking.get_mut("rescheduledFromId").filter(|from| !from.is_null()) {
            *from = json!("its own");
        }
    }
    if let Some(expiry) = body.get_mut("nextExpiry").and_then(Value::as_object_mut) {
        expiry.remove("at");
    }
    (reply.status, reply.etag.as_deref(), body)
}
