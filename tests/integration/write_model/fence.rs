//! A stage ends while commands are on their way: they run under the next one, and none is refused.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::Client;

use super::House;
use crate::support::{Mode, connect, key};

/// Bookings that a change of stage catches.
const CAUGHT: i64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_a_change_of_stage_catches_run_under_the_next() {
    let house = House::open(Mode::Scale).await;
    let switcher = connect(&codeccloud::postgres::embedded::superuser_url_of(house.dir.path()).unwrap()).await;
    let by_events = "SELECT count(*) FROM event_store WHERE event_type = 'slot_reserved'";
    switch(&house, &switcher, "mvp", async {}).await;
    house.booked(&house.salon.booking(0, 0, 0)).await;
    assert_eq!(house.number(by_events).await, 0, "by rows alone");

    switch(&house, &switcher, "scale", bookings(&house, 1)).await;
    assert_eq!(house.number(by_events).await, CAUGHT, "by events");
    switch(&house, &switcher, "mvp", bookings(&house, 2)).await;
    assert_eq!(house.number(by_events).await, CAUGHT, "by rows alone again");
    let rows = "SELECT count(*) FROM appointments WHERE status = 'scheduled'";
    assert_eq!(house.number(rows).await, 1 + 2 * CAUGHT);
}

/// With `caught` on their way: they wait for the fence that is held.
async fn switch(house: &House, switcher: &Client, stage: &str, caught: impl Future<Output = ()>) {
    let tenant = &house.salon.tenant_id;
    let close = format!("BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('{tenant}', 0))");
    switcher.batch_execute(&close).await.unwrap();
    let (tenant_id, stage) = (house.tenant(), stage.to_owned());
    futures_util::join!(caught, async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let sql = "UPDATE tenant_stages SET stage = $2 WHERE tenant_id = $1";
        assert_eq!(switcher.execute(sql, &[&tenant_id, &stage]).await.unwrap(), 1);
        switcher.batch_execute("COMMIT").await.unwrap();
    });
}

async fn bookings(house: &House, day: i64) {
    let asked = (0..CAUGHT).map(|number| async move {
        let body = house.salon.booking(usize::try_from(number % 2).unwrap(), day, number);
        house.server.post(&house.salon, "/v1/bookings", &key(), &body).await
    });
    let replies = join_all(asked).await;
    let refused: Vec<&str> = replies.iter().filter(|r| r.status != 201).map(|r| r.text.as_str()).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let ids: HashSet<String> = replies.iter().map(|reply| reply.json()["booking"]["id"].to_string()).collect();
    assert_eq!(ids.len(), replies.len());
}
