//! Our own commands take what they lock in one order, so none waits for one that waits for it. Retries would hide it if they
//! did; PostgreSQL counts.

use codeccloud::clock::SystemIds;
use codeccloud_actors::ports::Ids;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use serde_json::{Value, json};

use super::House;
use crate::support::{Mode, Reply, Salon, in_both_modes, key};

in_both_modes!(commands_that_meet_never_wait_in_a_circle);

/// Of each kind, at once.
const TIMES: i64 = 12;

type Asked<'a> = BoxFuture<'a, (String, Reply)>;

async fn commands_that_meet_never_wait_in_a_circle(mode: Mode) {
    let house = House::open(mode).await;
    let owner = house.owner().await;
    let ask = |path: String, body: Value| -> Asked<'_> {
        let (server, owner) = (&house.server, owner.clone());
        async move { (path.clone(), server.post(&owner, &path, &key(), &body).await) }.boxed()
    };
    let booked = async |person: usize, day: i64, number: i64, customer: i64| -> Value {
        let mut body = owner.booking(person, day, number);
        body["customer"]["id"] = owner.booking(0, 0, customer)["customer"]["id"].clone();
        let (_, reply) = ask("/v1/bookings".to_owned(), body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json()["booking"].clone()
    };
    let step = |booking: &Value, step: &str, body: Value| {
        let id = booking["id"].as_str().unwrap();
        let mut body = body;
        body["bookingId"] = booking["id"].clone();
        ask(format!("/v1/bookings/{id}/{step}"), body)
    };

    // Two customers who come again and again, to different people; each visit ends at once with the others.
    let (mut visits, mut pairs) = (Vec::new(), Vec::new());
    for day in 0..TIMES {
        let visit = booked(usize::try_from(day % 4).unwrap(), day, 0, day % 2).await;
        assert_eq!(step(&visit, "check-in", json!({})).await.1.status, 200);
        visits.push(visit);
        // Two people's bookings, one in June and one in July, that change places.
        let june = booked(usize::try_from(day % 2).unwrap(), 6, day, 2).await;
        let july = booked(usize::try_from((day + 1) % 2).unwrap(), 26, day, 3).await;
        pairs.push([june, july]);
    }
    let customers = [&visits[0], &visits[1]].map(|visit| visit["customer"]["id"].as_str().unwrap().to_owned());
    for customer in &customers {
        let (_, reply) = ask(format!("/v1/loyalty/{customer}/adjust"), json!({ "points": 1_000 })).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let products = [product(&house, &owner).await, product(&house, &owner).await];

    let mut burst: Vec<Asked<'_>> = visits.iter().map(|visit| step(visit, "complete", json!({}))).collect();
    for nth in 0..TIMES {
        let customer = &customers[usize::try_from(nth % 2).unwrap()];
        burst.push(ask(format!("/v1/loyalty/{customer}/redeem"), json!({ "points": 1 })));
        burst.push(ask(format!("/v1/loyalty/{customer}/adjust"), json!({ "points": 2 })));
        let [june, july] = &pairs[usize::try_from(nth).unwrap()];
        for (booking, other) in [(june, july), (july, june)] {
            let to = json!({ "slotStart": other["slotStart"], "slotEnd": other["slotEnd"] });
            burst.push(step(booking, "reschedule", to));
        }
        let mut lines = products.each_ref().map(|id| json!({ "productId": id, "quantity": 1 }));
        if nth % 2 == 1 {
            lines.reverse();
        }
        burst.push(ask("/v1/stock/consume".to_owned(), json!({ "lines": lines })));
        burst.push(ask(format!("/v1/products/{}/receive", products[0]), json!({ "quantity": 1 })));
    }
    for (path, reply) in join_all(burst).await {
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }

    let log = std::fs::read_to_string(house.dir.path().join("postgres.log")).unwrap();
    let circles: Vec<&str> = log.lines().filter(|line| line.contains("deadlock detected")).collect();
    assert_eq!(circles, Vec::<&str>::new());
    // The connections tell what they have counted when they end.
    let psql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'codeccloud'";
    house.psql.batch_execute(psql).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(house.number(deadlocks).await, 0);
}

/// Its id, with as much on the shelf as anybody could take.
async fn product(house: &House, owner: &Salon) -> String {
    let new = json!({ "sku": SystemIds.uuid(), "name": "Brush", "price": { "currency": "CHF", "amount": 2_450 } });
    let made = house.server.post(owner, "/v1/products", &key(), &new).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let received =
        house.server.post(owner, &format!("/v1/products/{id}/receive"), &key(), &json!({ "quantity": 100 })).await;
    assert_eq!(received.status, 200, "{}", received.text);
    id
}
