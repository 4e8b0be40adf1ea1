//! Rows that other software changes, and what commands make of it: each mode answers what a front-end can understand.

use codeccloud::clock::SystemIds;
use codeccloud::postgres::embedded::superuser_url_of;
use codeccloud_actors::ports::Ids as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{Mode, Reply, Salon, Server, TestDir, connect, in_both_modes, key};

in_both_modes!(
    a_row_in_the_way_is_a_conflict_also_across_a_months_end,
    a_booking_that_was_changed_by_hand_is_a_conflict_or_is_seen,
    nobody_has_partitions_made_for_what_cannot_be_booked,
);

struct House {
    server: Server,
    salon: Salon,
    psql: Client,
    _dir: TestDir,
}

impl House {
    /// With somebody who is there day and night.
    async fn open(mode: Mode) -> House {
        let dir = TestDir::new();
        let server = mode.start(dir.path());
        server.ready().await;
        let salon = server.salon(dir.path()).await;
        let mut salon = server.member_of(&salon, dir.path(), "owner").await;
        let made = server.post(&salon, "/v1/staff", &key(), &json!({ "displayName": "Nora" })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        salon.staff_ids = vec![made.json()["id"].as_str().unwrap().to_owned()];
        let psql = connect(&superuser_url_of(dir.path()).unwrap()).await;
        House { server, salon, psql, _dir: dir }
    }

    fn booking(&self, start: &str, end: &str) -> Value {
        let mut body = self.salon.booking(0, 0, 0);
        (body["slotStart"], body["slotEnd"]) = (json!(start), json!(end));
        body["customer"]["id"] = json!(SystemIds.uuid());
        body
    }

    async fn book(&self, start: &str, end: &str) -> Reply {
        self.server.post(&self.salon, "/v1/bookings", &key(), &self.booking(start, end)).await
    }

    async fn step(&self, booking: &str, step: &str) -> Reply {
        let path = format!("/v1/bookings/{booking}/{step}");
        self.server.post(&self.salon, &path, &key(), &json!({ "bookingId": booking })).await
    }

    async fn by_hand(&self, start: &str, end: &str) {
        let sql = "INSERT INTO appointments (tenant_id, id, code, staff_id, status, slot, slot_start, slot_end) \
                   SELECT $1, gen_random_uuid(), gen_random_uuid()::text, $2, 'scheduled', tstzrange(a, b), a, b \
                   FROM (SELECT $3::text::timestamptz AS a, $4::text::timestamptz AS b) slot";
        let tenant: Uuid = self.salon.tenant_id.parse().unwrap();
        let staff: Uuid = self.salon.staff_ids[0].parse().unwrap();
        self.psql.execute(sql, &[&tenant, &staff, &start, &end]).await.unwrap();
    }
}

async fn a_row_in_the_way_is_a_conflict_also_across_a_months_end(mode: Mode) {
    let house = House::open(mode).await;
    // Makes the months.
    for (start, end) in
        [("2031-07-10T08:00:00Z", "2031-07-10T08:45:00Z"), ("2031-08-10T08:00:00Z", "2031-08-10T08:45:00Z")]
    {
        assert_eq!(house.book(start, end).await.status, 201);
    }
    house.by_hand("2031-07-31T23:30:00Z", "2031-08-01T00:30:00Z").await;
    house.by_hand("2031-08-05T08:00:00Z", "2031-08-05T09:00:00Z").await;
    for (start, end) in [
        ("2031-08-01T00:00:00Z", "2031-08-01T00:45:00Z"),
        ("2031-07-31T23:00:00Z", "2031-07-31T23:45:00Z"),
        ("2031-08-05T08:30:00Z", "2031-08-05T09:15:00Z"),
    ] {
        let refused = house.book(start, end).await;
        assert_eq!((refused.status, &refused.json()["detail"]), (409, &json!("the slot is taken")), "{}", refused.text);
    }
    let own = house.book("2031-07-31T22:30:00Z", "2031-07-31T23:30:00Z").await;
    assert_eq!(own.status, 201, "{}", own.text);
    assert_eq!(house.book("2031-08-01T00:30:00Z", "2031-08-01T01:15:00Z").await.status, 201);
    // Nor does it get past the database by hand.
    let over = "INSERT INTO appointments (tenant_id, code, staff_id, status, slot, slot_start, slot_end) \
                SELECT tenant_id, 'X', staff_id, status, tstzrange(slot_end - interval '10 minutes', '2031-08-01 00:10:00Z'), \
                slot_end - interval '10 minutes', '2031-08-01 00:10:00Z' FROM appointments WHERE slot_start = '2031-07-31 22:30:00Z'";
    let refused = house.psql.execute(over, &[]).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "23P01", "{refused:?}");
}

async fn a_booking_that_was_changed_by_hand_is_a_conflict_or_is_seen(mode: Mode) {
    let house = House::open(mode).await;
    for (number, change) in
        ["DELETE FROM appointments WHERE id = $1", "UPDATE appointments SET status = 'cancelled' WHERE id = $1"]
            .into_iter()
            .enumerate()
    {
        let (start, end) = (format!("2031-07-1{number}T08:00:00Z"), format!("2031-07-1{number}T08:45:00Z"));
        let booked = house.book(&start, &end).await;
        assert_eq!(booked.status, 201, "{}", booked.text);
        let id = booked.json()["booking"]["id"].as_str().unwrap().to_owned();
        let changed = house.psql.execute(change, &[&id.parse::<Uuid>().unwrap()]).await.unwrap();
        assert_eq!(changed, 1);
        let confirmed = house.step(&id, "confirm").await;
        let expected = if mode == Mode::Mvp && number == 0 { 404 } else { 409 };
        assert_eq!(confirmed.status, expected, "{change}: {}", confirmed.text);
        let shown = house.server.get(&house.salon, &format!("/v1/bookings/{id}")).await;
        let expected = if mode == Mode::Mvp && number == 0 { 404 } else { 200 };
        assert_eq!(shown.status, expected, "{change}: {}", shown.text);
    }
    // Whoever has nothing to do with it is served.
    assert_eq!(house.book("2031-07-20T08:00:00Z", "2031-07-20T08:45:00Z").await.status, 201);
}

async fn nobody_has_partitions_made_for_what_cannot_be_booked(mode: Mode) {
    let house = House::open(mode).await;
    let months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'appointments'::regclass";
    let before: i64 = house.psql.query_one(months, &[]).await.unwrap().get(0);
    for (start, end) in
        [("1950-07-10T08:00:00Z", "1950-07-10T08:45:00Z"), ("2190-07-10T08:00:00Z", "2190-07-10T08:45:00Z")]
    {
        let refused = house.book(start, end).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        let nothing = json!({ "bookingId": Uuid::nil(), "slotStart": start, "slotEnd": end });
        let path = format!("/v1/bookings/{}/reschedule", Uuid::nil());
        let moved = house.server.send(Method::POST, &house.salon, &path, Some(&key()), Some(&nothing)).await.unwrap();
        assert_eq!(moved.status, 404, "{}", moved.text);
    }
    assert_eq!(house.psql.query_one(months, &[]).await.unwrap().get::<_, i64>(0), before);
    assert_eq!(house.book("2033-07-10T08:00:00Z", "2033-07-10T08:45:00Z").await.status, 201);
    assert_eq!(house.psql.query_one(months, &[]).await.unwrap().get::<_, i64>(0), before + 1);
}
