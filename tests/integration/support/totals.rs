//! A tenant's totals, counted here from its rows: what the database's own are compared with.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

const APPOINTMENTS: &str = "
    SELECT staff_id, status::text, slot_start, slot_end, price_cents, currency::text FROM appointments
    WHERE tenant_id = $1 AND status <> 'draft'";

const CALENDARS: &str = "
    SELECT format('calendar %s %s %s', staff_id, day, booked_minutes) FROM availability_calendars
    WHERE tenant_id = $1 AND booked_minutes <> 0 ORDER BY 1";

const SALES: &str = "
    SELECT format('sales %s %s %s', day, currency, array[bookings, booked_cents, completed, revenue_cents, cancellations,
        cancelled_cents, no_shows, no_show_cents]) FROM sales_metrics
    WHERE tenant_id = $1 AND bookings <> 0 ORDER BY 1";

const ZONE: &str = "SELECT coalesce((SELECT time_zone FROM tenant_settings WHERE tenant_id = $1), 'Europe/Zurich')";

/// As the totals' tables have them. A transaction at one time, so that both are of one state.
pub async fn kept(client: &Client, tenant: Uuid) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [CALENDARS, SALES] {
        all.extend(client.query(sql, &[&tenant]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
    }
    all
}

/// As the appointments have them.
pub async fn counted(client: &Client, tenant: Uuid) -> Vec<String> {
    let zone: String = client.query_one(ZONE, &[&tenant]).await.unwrap().get(0);
    let zone = TimeZone::get(&zone).unwrap();
    let mut minutes: BTreeMap<(Uuid, String), i64> = BTreeMap::new();
    let mut sales: BTreeMap<(String, String), [i64; 8]> = BTreeMap::new();
    for row in client.query(APPOINTMENTS, &[&tenant]).await.unwrap() {
        let status: String = row.get(1);
        let (start, end) = (instant(&row, 2), instant(&row, 3));
        let (price, currency) = (i64::from(row.get::<_, i32>(4)), row.get::<_, String>(5));
        let day = start.to_zoned_datetime(zone.clone()).date().to_string();
        let places: &[usize] = match status.as_str() {
            "completed" => &[0, 2],
            "cancelled" => &[0, 4],
            "no_show" => &[0, 6],
            _ => &[0],
        };
        let totals = sales.entry((day, currency)).or_default();
        for place in places {
            totals[*place] += 1;
            totals[*place + 1] += price;
        }
        if !matches!(status.as_str(), "cancelled" | "no_show") {
            for (day, share) in shares(start, end, &zone) {
                *minutes.entry((row.get(0), day)).or_default() += share;
            }
        }
    }
    let mut calendars: Vec<String> = minutes
        .iter()
        .filter(|(_, minutes)| **minutes != 0)
        .map(|((staff, day), minutes)| format!("calendar {staff} {day} {minutes}"))
        .collect();
    calendars.sort();
    let mut sold: Vec<String> = sales
        .iter()
        .map(|((day, currency), totals)| {
            let totals: Vec<String> = totals.iter().map(i64::to_string).collect();
            format!("sales {day} {currency} {{{}}}", totals.join(","))
        })
        .collect();
    sold.sort();
    [calendars, sold].concat()
}

/// Whole minutes on each local day; the last day has what the others leave.
fn shares(start: Timestamp, end: Timestamp, zone: &TimeZone) -> Vec<(String, i64)> {
    let minutes_until = |at: Timestamp| (at.as_microsecond() - start.as_microsecond()) / 60_000_000;
    let (mut shares, mut given) = (Vec::new(), 0);
    let mut day = start.to_zoned_datetime(zone.clone()).start_of_day().unwrap();
    while day.timestamp() < end {
        let next = day.checked_add(1.day()).unwrap().start_of_day().unwrap();
        let until = minutes_until(end.min(next.timestamp()));
        shares.push((day.date().to_string(), until - given));
        given = until;
        day = next;
    }
    shares
}

fn instant(row: &Row, column: usize) -> Timestamp {
    let since = row.get::<_, SystemTime>(column).duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_microsecond(i64::try_from(since.as_micros()).unwrap()).unwrap()
}
