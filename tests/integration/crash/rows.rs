//! What the tables hold, in either mode, against what front-ends were told, and against what the server shows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use codeccloud::postgres::embedded::url_of;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::front_ends::FrontEnds;
use super::truth::listed;
use crate::support::{Server, connect};

/// Rows as the API shows them; `draft` is none that these front-ends make.
const ROWS: &str = "SELECT id, version, staff_id, to_char(slot_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
     CASE WHEN status = 'scheduled' AND moved_at IS NOT NULL THEN 'rescheduled' ELSE status::text END FROM appointments";

const TOTALS: &str = "SELECT staff_id::text || day AS what, booked_minutes::int8 AS much FROM availability_calendars \
     WHERE booked_minutes <> 0 \
     UNION ALL SELECT tenant_id::text || day || currency, bookings + booked_cents * 7 + completed * 11 + revenue_cents * 13 \
         + cancellations * 17 + cancelled_cents * 19 + no_shows * 23 + no_show_cents * 29 FROM sales_metrics \
         WHERE bookings <> 0";

pub async fn check(data_dir: &Path, server: &Server, front_ends: &FrontEnds) {
    let client = connect(&url_of(data_dir).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let bookings = front_ends.bookings();
    let (mut versions, mut shown) = (HashMap::new(), BTreeSet::new());
    for row in client.query(ROWS, &[]).await.unwrap() {
        let (id, version): (Uuid, i32) = (row.get(0), row.get(1));
        assert!(versions.insert(id, u32::try_from(version).unwrap()).is_none(), "booking {id} has two rows");
        let fields =
            [json!(id), json!(row.get::<_, Uuid>(2)), json!(row.get::<_, String>(3)), json!(row.get::<_, String>(4))];
        if let Some((newest, told)) = &bookings[&id].newest
            && *newest == u32::try_from(version).unwrap()
        {
            let told: [&Value; 4] = ["id", "staffId", "slotStart", "status"].map(|field| &told[field]);
            assert_eq!(told.map(Value::to_string), fields.clone().map(|field| field.to_string()));
        }
        shown.insert(json!(fields).to_string());
    }
    let changes: HashMap<Uuid, u32> = bookings.iter().map(|(id, known)| (*id, known.changes)).collect();
    assert_eq!(versions, changes, "each acknowledged change is in its row once, and there is no other");
    assert_eq!(listed(server, front_ends.salon()).await, shown, "what the server shows");
    let none = async |what: &str, sql: &str| {
        assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0, "{what}");
    };
    none(
        "appointments of a person that overlap",
        "SELECT count(*) FROM appointments a JOIN appointments b ON a.staff_id = b.staff_id AND a.id < b.id \
         AND a.slot && b.slot AND a.status IN ('scheduled', 'confirmed', 'checked_in') \
         AND b.status IN ('scheduled', 'confirmed', 'checked_in')",
    )
    .await;
    none(
        "accounts that are not the sum of their ledger",
        "SELECT count(*) FROM loyalty_accounts a FULL JOIN (SELECT customer_id, sum(points) AS points, max(version) AS version, \
         count(*) AS entries FROM loyalty_ledger GROUP BY 1) l USING (customer_id) \
         WHERE (a.balance, a.version) IS DISTINCT FROM (l.points, l.version) OR l.entries <> l.version",
    )
    .await;
    none(
        "completed bookings without their points, or the other way round",
        "SELECT count(*) FROM (SELECT id FROM appointments WHERE status = 'completed' AND price_cents >= 100) a \
         FULL JOIN loyalty_ledger l ON l.booking_id = a.id WHERE l.id IS NULL OR a.id IS NULL",
    )
    .await;
    let counted = totals(&client).await;
    client.batch_execute("SELECT app_private.recount_totals(id) FROM tenants").await.unwrap();
    assert_eq!(totals(&client).await, counted, "totals and a recount");
}

async fn totals(client: &Client) -> BTreeMap<String, i64> {
    client.query(TOTALS, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}
