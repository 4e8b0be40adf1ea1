//! Who may pass, and what of others is seen.

use codeccloud::postgres::embedded::url_of;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, answer, get, post, with};
use crate::support::{Mode, Salon, TestDir, connect, in_both_modes, key, token, token_of};

in_both_modes!(
    only_owners_make_owners,
    another_workspace_is_closed_and_what_is_in_it_is_not_there,
    an_answer_is_repeated_for_whom_it_was_given_to_and_nobody_else,
    customers_see_and_change_their_own_bookings_only
);

const ANNA: Uuid = Uuid::from_u128(0xA_4000_8000_0000_0000_0000);
const BEA: Uuid = Uuid::from_u128(0xB_4000_8000_0000_0000_0000);

async fn only_owners_make_owners(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let invitation = json!({ "email": "bea@example.ch", "role": "staff", "displayName": "Bea" });
    assert_eq!(post(&server, &manager, "/v1/staff/invite", &invitation).await.status, 201);
    let promotion = with(invitation, "/role", json!("owner"));
    post(&server, &manager, "/v1/staff/invite", &promotion).await.problem(403, "forbidden", "only owners make owners");
}

async fn another_workspace_is_closed_and_what_is_in_it_is_not_there(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let booked = post(&server, &salon, "/v1/bookings", &salon.booking(0, 0, 0)).await;
    let booking = format!("/v1/bookings/{}", booked.body["booking"]["id"].as_str().unwrap());
    let url = url_of(dir.path()).unwrap();
    let rows = connect(&url.replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let other: Uuid = rows.query_one("select id from tenants where slug = 'atelier-leman'", &[]).await.unwrap().get(0);
    let tenant_id = other.to_string();
    let foreign = Salon { token: token(dir.path(), &tenant_id, "service"), tenant_id, ..salon.clone() };

    let mixed = Salon { tenant_id: foreign.tenant_id.clone(), ..salon.clone() };
    get(&server, &mixed, "/v1/services").await.problem(403, "forbidden", "the token is another workspace's");
    let bare = server.client.get(format!("{}/v1/services", server.url)).bearer_auth(&salon.token);
    answer(bare).await.problem(401, "unauthorized", "no workspace");
    let forged = Salon { token: format!("{}x", salon.token), ..salon.clone() };
    get(&server, &forged, "/v1/services").await.problem(401, "unauthorized", "a forged token");

    let (service, staff) = (&salon.service_id, &salon.staff_ids[0]);
    let day = "from=2031-06-02T00:00:00Z&to=2031-06-03T00:00:00Z";
    let availability = format!("/v1/bookings/availability?serviceId={service}&{day}");
    for path in [booking.as_str(), &format!("/v1/services/{service}"), &format!("/v1/staff/{staff}"), &availability] {
        get(&server, &foreign, path).await.problem(404, "not-found", path);
        assert_eq!(get(&server, &salon, path).await.status, 200, "{path}");
    }
    let body = salon.booking(0, 0, 1);
    post(&server, &foreign, "/v1/bookings", &body).await.problem(404, "not-found", "a foreign service");
    let id = json!({ "bookingId": booked.body["booking"]["id"] });
    post(&server, &foreign, &format!("{booking}/cancel"), &id).await.problem(404, "not-found", "a foreign booking");
}

/// The answer to a cancellation has the customer's name in it.
async fn an_answer_is_repeated_for_whom_it_was_given_to_and_nobody_else(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let annas = as_customer(&salon, &dir, ANNA);
    let body = with(salon.booking(0, 0, 0), "/customer/id", json!(ANNA));
    let booked = server.post(&annas, "/v1/bookings", &key(), &body).await;
    let id = booked.json()["booking"]["id"].clone();
    let (path, cancelling) = (format!("/v1/bookings/{}/cancel", id.as_str().unwrap()), json!({ "bookingId": id }));
    let key = key();
    let cancelled = server.post(&annas, &path, &key, &cancelling).await;
    assert_eq!((cancelled.status, cancelled.text.contains("Muster")), (200, true), "{}", cancelled.text);

    let by_bea = server.post(&as_customer(&salon, &dir, BEA), &path, &key, &cancelling).await;
    assert_eq!((by_bea.status, by_bea.text.contains("Muster")), (409, false), "{}", by_bea.text);
    assert!(by_bea.json()["type"].as_str().unwrap().ends_with("idempotency-conflict"));

    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let renewed = as_customer(&salon, &dir, ANNA);
    assert_ne!(renewed.token, annas.token);
    let again = server.post(&renewed, &path, &key, &cancelling).await;
    assert_eq!((again.status, again.replayed.as_deref(), again.text), (200, Some("true"), cancelled.text));
}

/// Of one salon: another's bookings are as if they weren't there.
async fn customers_see_and_change_their_own_bookings_only(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let (anna, bea) = (as_customer(&salon, &dir, ANNA), as_customer(&salon, &dir, BEA));
    let mut ids = Vec::new();
    for (number, (who, id)) in [(&anna, ANNA), (&bea, BEA)].into_iter().enumerate() {
        let body = with(salon.booking(0, 0, i64::try_from(number).unwrap()), "/customer/id", json!(id));
        let booked = post(&server, who, "/v1/bookings", &body).await;
        assert_eq!(booked.status, 201, "{}", booked.body);
        ids.push(booked.body["booking"]["id"].clone());
    }
    let [annas, beas] = [&ids[0], &ids[1]].map(|id| format!("/v1/bookings/{}", id.as_str().unwrap()));
    let seen = get(&server, &anna, &annas).await;
    assert_eq!(seen.status, 200, "{}", seen.body);

    let listed = |answer: &Answer| -> Vec<Value> {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let bookings = answer.body.get("data").unwrap_or(&answer.body).as_array().unwrap();
        bookings.iter().map(|booking| booking["id"].clone()).collect()
    };
    let by_staff = format!("staffId={}", salon.staff_ids[0]);
    let day = "from=2031-06-02T00:00:00Z&to=2031-06-03T00:00:00Z";
    for path in ["/v1/bookings", "/v1/bookings/search"] {
        for query in ["", "order=desc", "limit=1", &by_staff, day, &format!("customerId={BEA}")] {
            let found = listed(&get(&server, &bea, &format!("{path}?{query}")).await);
            assert_eq!(found, [ids[1].clone()], "{path}?{query}");
        }
        for query in [format!("customerId={ANNA}"), format!("customerId={ANNA}&{by_staff}")] {
            assert!(listed(&get(&server, &bea, &format!("{path}?{query}")).await).is_empty(), "{path}?{query}");
        }
        assert_eq!(listed(&get(&server, &salon, path).await), ids, "the salon sees both");
    }
    for path in [annas.clone(), format!("/v1/customers/{ANNA}"), format!("/v1/loyalty/{ANNA}")] {
        get(&server, &bea, &path).await.problem(404, "not-found", &path);
    }

    let free = salon.booking(0, 0, 4);
    let moving = |id: &Value| json!({ "bookingId": id, "slotStart": free["slotStart"], "slotEnd": free["slotEnd"] });
    let cancelling = |id: &Value| json!({ "bookingId": id });
    let moved = post(&server, &bea, &format!("{annas}/reschedule"), &moving(&ids[0])).await;
    moved.problem(404, "not-found", "moving another's booking");
    let cancelled = post(&server, &bea, &format!("{annas}/cancel"), &cancelling(&ids[0])).await;
    cancelled.problem(404, "not-found", "cancelling another's booking");
    let still = get(&server, &anna, &annas).await;
    assert_eq!((still.header("etag"), &still.body), (seen.header("etag"), &seen.body), "as it was");

    let moved = post(&server, &bea, &format!("{beas}/reschedule"), &moving(&ids[1])).await;
    assert_eq!((moved.status, &moved.body["booking"]["slotStart"]), (200, &free["slotStart"]), "{}", moved.body);
    let cancelled = post(&server, &bea, &format!("{beas}/cancel"), &cancelling(&ids[1])).await;
    assert_eq!((cancelled.status, &cancelled.body["booking"]["status"]), (200, &json!("cancelled")));
}

fn as_customer(salon: &Salon, dir: &TestDir, id: Uuid) -> Salon {
    Salon { token: token_of(dir.path(), &salon.tenant_id, "customer", id), ..salon.clone() }
}
