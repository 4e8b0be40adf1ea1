//! On an existing deployment's outbox: filled by its own triggers, read by its own consumers, and full of what is told already.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::posted::environment;
use super::sink::MailSink;
use crate::adopt::{adopted, command_for};
use crate::support::mvp::{MvpDatabase, OwnerRights};
use crate::support::receiver::Receiver;
use crate::support::{Mode, Server, in_both_modes, key};

in_both_modes!(what_comes_is_told_once_and_what_was_there_is_left_as_it_is);

/// What the deployment's consumers have done of the entries up to a number, and how many there are.
const PROGRESS: &str = "SELECT count(*), coalesce(string_agg(concat(id, ' ', processed_at), ',' ORDER BY id), '') \
                        FROM outbox_events WHERE id <= $1";

const BOOK: &str = "INSERT INTO appointments (tenant_id, id, code, staff_id, service_id, status, slot_start, slot_end) \
                    SELECT $1, $2, left($5, 8), $3, $4, 'scheduled', at, at + interval '30 minutes' \
                    FROM (SELECT '2031-06-03 07:00Z'::timestamptz) start (at)";

async fn what_comes_is_told_once_and_what_was_there_is_left_as_it_is(mode: Mode) {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 2_400).await;
    adopted(&database);
    let psql = database.superuser().await;
    let last: i64 = psql.query_one("SELECT max(id) FROM outbox_events", &[]).await.unwrap().get(0);
    let progress = async || {
        let row = psql.query_one(PROGRESS, &[&last]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, String>(1))
    };
    let before = progress().await;
    let open = "SELECT count(*) FROM outbox_events WHERE processed_at IS NULL";
    assert!(psql.query_one(open, &[]).await.unwrap().get::<_, i64>(0) > 10, "some wait for the deployment's consumers");

    let sink = MailSink::start();
    let port = sink.port.to_string();
    let private = [("CODECCLOUD_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES", "on")];
    let telling = [&environment(&port, "none")[..], &private[..]].concat();
    let command = || command_for(&database, mode, &telling);
    let server = Server::of(command());
    server.ready().await;
    let mut receivers = Vec::new();
    for slug in ["salon-1", "salon-aare"] {
        let salon = server.salon_by(command, slug).await;
        let owner = server.member_by(command, &salon, "owner").await;
        let receiver = Receiver::that_answers(200);
        let endpoint = json!({ "url": receiver.url, "eventTypes": [] });
        let endpoint = server.post(&owner, "/v1/webhooks", &key(), &endpoint).await;
        assert_eq!(endpoint.status, 201, "{}", endpoint.text);
        let booked = server.post(&owner, "/v1/bookings", &key(), &owner.booking(0, 0, 0)).await;
        assert_eq!(booked.status, 201, "{}", booked.text);
        let booked = booked.json()["booking"]["id"].as_str().unwrap().to_owned();
        receiver.called(1).await;
        let [tenant, staff, service] =
            [&owner.tenant_id, &owner.staff_ids[0], &owner.service_id].map(|id| id.parse::<Uuid>().unwrap());
        let by_hand = Uuid::from_u128(u128::from_str_radix(&tenant.simple().to_string(), 16).unwrap() ^ 1);
        psql.execute(BOOK, &[&tenant, &by_hand, &staff, &service, &by_hand.to_string()]).await.unwrap();
        receiver.called(2).await;
        psql.execute("UPDATE appointments SET status = 'confirmed' WHERE id = $1", &[&by_hand]).await.unwrap();
        let told: Vec<_> = receiver.called(3).await.iter().map(|call| call.event()).collect();
        let by_hand = by_hand.to_string();
        let expected = [(booked, "scheduled"), (by_hand.clone(), "scheduled"), (by_hand, "confirmed")];
        assert_eq!(told, expected.map(|(id, what)| (id, what.to_owned())), "at {slug}");
        receivers.push(receiver);
    }
    // Of one of the deployment's own, from before.
    let old = "UPDATE appointments SET status = 'confirmed' WHERE id = (SELECT a.id FROM appointments a JOIN tenants t \
               ON t.id = a.tenant_id WHERE t.slug = 'salon-1' AND status = 'scheduled' AND slot_start > now() \
               ORDER BY slot_start LIMIT 1) RETURNING id";
    let old: Uuid = psql.query_one(old, &[]).await.unwrap().get(0);
    let told = receivers[0].called(4).await[3].event();
    assert_eq!(told, (old.to_string(), "confirmed".to_owned()));

    // Of customers only the booking over HTTP knows.
    sink.received(2).await;
    // Three looks later.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    server.stop();
    assert_eq!(sink.mails().len(), 2);
    assert_eq!(receivers.iter().map(|receiver| receiver.calls().len()).collect::<Vec<_>>(), [4, 3]);
    let older = "SELECT count(*) FROM outbox_deliveries WHERE entry_id <= $1";
    assert_eq!(psql.query_one(older, &[&last]).await.unwrap().get::<_, i64>(0), 0, "older entries are told");
    assert_eq!(progress().await, before);
    let marked = "SELECT count(*) FROM outbox_events WHERE id > $1 AND processed_at IS NOT NULL";
    assert_eq!(psql.query_one(marked, &[&last]).await.unwrap().get::<_, i64>(0), 0, "they are the consumers' to mark");
}
