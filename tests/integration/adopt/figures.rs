//! What a deployment's past comes to: as the server says, and as its rows count.

use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{Salon, Server};

/// As the API names them, of bookings that SQL counts anew.
const FIGURES: &str = "
    jsonb_build_object('bookings', count(*), 'bookedCents', sum(price_cents),
        'completed', count(*) filter (where status = 'completed'),
        'revenueCents', coalesce(sum(price_cents) filter (where status = 'completed'), 0),
        'cancellations', count(*) filter (where status = 'cancelled'),
        'cancelledCents', coalesce(sum(price_cents) filter (where status = 'cancelled'), 0),
        'noShows', count(*) filter (where status = 'no_show'),
        'noShowCents', coalesce(sum(price_cents) filter (where status = 'no_show'), 0))";

const BOOKINGS: &str = "
    (select *, (slot_start at time zone 'Europe/Zurich')::date as day from appointments
        where tenant_id = $1 and status <> 'draft' and currency = 'CHF') booking";

/// Of the last year and, month by month, of the last two, for an owner of a salon in Zurich's zone.
pub async fn agree(superuser: &Client, server: &Server, owner: &Salon) {
    let tenant: Uuid = owner.tenant_id.parse().unwrap();
    let dates =
        "select today::text, (today - 365)::text, (date_trunc('month', today) - interval '23 months')::date::text,
        (date_trunc('month', today) + interval '1 month - 1 day')::date::text
        from (select (now() at time zone 'Europe/Zurich')::date) at (today)";
    let dates = superuser.query_one(dates, &[]).await.unwrap();
    let [today, year, months, months_end]: [String; 4] = [0, 1, 2, 3].map(|column| dates.get(column));
    let counted = async |named: &str, from: &str, to: &str| -> Vec<Value> {
        let sql = format!(
            "select jsonb_strip_nulls({named}) || {FIGURES} from {BOOKINGS}
             where day between $2::text::date and $3::text::date group by {named} order by {named}"
        );
        superuser.query(&sql, &[&tenant, &from, &to]).await.unwrap().iter().map(|row| row.get(0)).collect()
    };
    let asked = async |path: String| -> Value {
        let reply = server.get(owner, &path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply.json()
    };
    for (by, named, from, to) in [
        ("month", "jsonb_build_object('date', date_trunc('month', day)::date)", &months, &months_end),
        ("day", "jsonb_build_object('date', day)", &year, &today),
        ("staff", "jsonb_build_object('staffId', staff_id)", &year, &today),
        ("service", "jsonb_build_object('serviceId', service_id)", &year, &today),
    ] {
        let answer = asked(format!("/v1/admin/revenue?by={by}&from={from}&to={today}")).await;
        let mut shown: Vec<Value> = answer["data"].as_array().unwrap().clone();
        for row in &mut shown {
            assert_eq!(row.as_object_mut().unwrap().remove("currency"), Some("CHF".into()));
        }
        let counted = counted(named, from, to).await;
        assert!(counted.len() > 3, "by {by}: {counted:?}");
        let apart: Vec<_> = shown.iter().filter(|one| !counted.contains(one)).collect();
        assert!(shown.len() == counted.len() && apart.is_empty(), "by {by}: {apart:#?} of {counted:#?}");
    }
    let shown = asked(format!("/v1/admin/dashboard?from={year}&to={today}")).await;
    let counted = counted("'{}'::jsonb", &year, &today).await.remove(0);
    for (figure, counted) in counted.as_object().unwrap() {
        assert_eq!(shown[figure], *counted, "{figure}");
    }
}
