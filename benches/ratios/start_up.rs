//! Start-up with ten million events behind: from the start of the process until the server is ready.

use std::time::Instant;

use serde_json::Value;
use tokio_postgres::Client;

use super::database::BenchDir;
use super::server::Server;
use super::table::{Bar, Table};

/// Seven events each: scheduled, reserved, confirmed, checked in, completed, released, points.
const BOOKINGS: i64 = 1_430_000;
const BOOKINGS_AT_ONCE: i64 = 110_000;

pub async fn measure(table: &mut Table) {
    let server = Server::start(BenchDir::new());
    server.load(&["--max", "--tenants", "20", "--staff", "50", "--duration", "1", "--no-check"]).await;
    let client = server.superuser().await;
    client.batch_execute(PEOPLE).await.expect("written");
    for first in (0..BOOKINGS).step_by(usize::try_from(BOOKINGS_AT_ONCE).expect("small")) {
        append(&client, first, (first + BOOKINGS_AT_ONCE).min(BOOKINGS)).await;
        eprint!("\r{:>10} events written", first.max(1) * 7);
    }
    eprintln!();
    client.batch_execute("vacuum analyze event_store; vacuum analyze stream_heads").await.expect("vacuumed");
    let events: i64 = client.query_one("select count(*) from event_store", &[]).await.expect("counts").get(0);
    applied(&server, events).await;
    let (dir, _) = server.stop();

    let (server, seconds) = start(dir).await;
    table.record(format!("start-up, {events} events"), "s", seconds, Bar::AtMost(10.0));
    table.record("  its memory", "MiB", server.resident(), Bar::None);
    let rebuild = Instant::now();
    server.output(&["projections", "rebuild"]);
    table.record("  rebuild of all projections", "s", rebuild.elapsed().as_secs_f64(), Bar::None);
    server.stop();
}

async fn start(dir: BenchDir) -> (Server, f64) {
    let began = Instant::now();
    let server = Server::start(dir);
    ready(&server).await;
    (server, began.elapsed().as_secs_f64())
}

/// Until the projections have folded them all: a stop saves what they know, which is where the next start goes on.
async fn applied(server: &Server, events: i64) {
    // Each event is of one of three kinds of streams, and each kind is folded by one of these.
    const EACH_ONCE: [&str; 3] = ["appointment_summaries", "availability", "loyalty_balances"];
    loop {
        let status: Vec<Value> =
            serde_json::from_str(&server.output(&["projections", "status", "--json"])).expect("a document");
        let folded = status.iter().filter(|row| EACH_ONCE.iter().any(|name| row["projection"] == *name));
        let folded: i64 = folded.filter_map(|row| row["eventsApplied"].as_i64()).sum();
        if folded >= events {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

/// Every projection is live: caught up with the events.
async fn ready(server: &Server) {
    let url = format!("{}/health/ready", server.url);
    while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Everyone of the load tester's salons, numbered.
const PEOPLE: &str = "
    create schema bare;
    create table bare.people as
        select tenant_id, id, row_number() over (order by id) - 1 as number from staff;
    create unique index on bare.people (number);";

async fn append(client: &Client, first: i64, last: i64) {
    let sql = format!(
        "with booked as (
            select b as booking_number, p.tenant_id, p.id as staff,
                ('00000000-0000-7000-8001-' || lpad(to_hex(b), 12, '0'))::uuid as booking,
                ('00000000-0000-7000-8002-' || lpad(to_hex(b % 200000), 12, '0'))::uuid as customer,
                date_trunc('day', now()) - interval '1022 days' + b / {per_day} * interval '1 day'
                    + (6 + b % {per_day} / people) * interval '1 hour' as start,
                b / people + 1 as turn
            from (select count(*) as people from bare.people) c, generate_series({first}, {last} - 1) b
            join bare.people p on p.number = b % (select count(*) from bare.people)
        )
        insert into event_store (
            id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, occurred_at, cluster_id,
            recorded_at, schema_version, metadata
        )
        select gen_random_uuid(), tenant_id, kind, aggregate, event_type, version, payload, start - before,
            app_private.cluster_id(), now(), case event_type when 'booking_scheduled' then 2 else 1 end, '{{\"origin\":\"actor\"}}'
        from booked,
        lateral (
            select jsonb_build_object('start', iso(start), 'end', iso(start + interval '1 hour')) as slot,
                jsonb_build_array(jsonb_build_object(
                    'date', start::date, 'booked_minutes', 60, 'working_minutes', 540)) as days
        ) s,
        lateral (values
            ('booking', booking, 'booking_scheduled', 1, interval '7 days', jsonb_build_object(
                'staff_id', staff, 'service_id', staff, 'customer_id', customer, 'slot', slot, 'day', start::date,
                'price', jsonb_build_object('currency', 'CHF', 'amount', 8900))),
            ('staff_utilisation', staff, 'slot_reserved', 2 * turn - 1, interval '7 days', jsonb_build_object(
                'booking_id', booking, 'service_id', staff, 'slot', slot, 'buffer_before_minutes', 0,
                'buffer_after_minutes', 0, 'days', days)),
            ('booking', booking, 'booking_confirmed', 2, interval '6 days', '{{}}'),
            ('booking', booking, 'booking_checked_in', 3, interval '0', '{{}}'),
            ('booking', booking, 'booking_completed', 4, interval '-1 hour', '{{}}'),
            ('staff_utilisation', staff, 'slot_released', 2 * turn, interval '-1 hour', jsonb_build_object(
                'booking_id', booking, 'slot', slot, 'reason', 'completed', 'days', days)),
            ('loyalty_balance', customer, 'points_accrued', booking_number / 200000 + 1, interval '-1 hour',
                jsonb_build_object('booking_id', booking, 'points', 89, 'expires_at', null))
        ) as e (kind, aggregate, event_type, version, before, payload)
        order by booking_number",
        per_day = 1_400,
    );
    let sql = ["start + interval '1 hour'", "start"].iter().fold(sql, |sql, time| {
        let iso = format!("to_char({time} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.000\"Z\"')");
        sql.replace(&format!("iso({time})"), &iso)
    });
    client.batch_execute(&sql).await.expect("written");
}
