//! One partition a month, named after it. The server knows a month by its name, and counts months in UTC.

use tokio_postgres::{Client, Error};

use super::Difference;

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let key = "select pg_get_partkeydef(to_regclass('public.appointments'))";
    let key: Option<String> = client.query_one(key, &[]).await?.get(0);
    if key.as_deref() != Some("RANGE (slot_start)") {
        return Ok(vec![Difference::refuses("appointments", "it is not partitioned by range (slot_start)")]);
    }
    let mut differences = months(client).await?;
    differences.extend(strays(client).await?);
    Ok(differences)
}

async fn months(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select name, bounds, is_table, coalesce(
            name = 'appointments_' || to_char(begins at time zone 'UTC', 'YYYYMM')
            and begins = date_trunc('month', begins, 'UTC')
            and ends = (begins at time zone 'UTC' + interval '1 month') at time zone 'UTC', false
        )
        from (
            select c.relname::text as name, pg_get_expr(c.relpartbound, c.oid) as bounds, c.relkind = 'r' as is_table,
                substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \\(''([^'']+)''')::timestamptz as begins,
                substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''([^'']+)''')::timestamptz as ends
            from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'public.appointments'::regclass
        ) months order by 1";
    let mut differences = Vec::new();
    for row in client.query(sql, &[]).await? {
        let (name, bounds): (String, String) = (row.get(0), row.get(1));
        let (is_table, is_month): (bool, bool) = (row.get(2), row.get(3));
        if bounds == "DEFAULT" {
            let text = "a default partition: each new month would have to wait until it is searched";
            differences.push(Difference::refuses(name, text));
        } else if !is_month {
            let text = format!("it is not the month, in UTC, that appointments_YYYYMM stands for: {bounds}");
            differences.push(Difference::refuses(name, text));
        } else if !is_table {
            differences.push(Difference::refuses(name, "the month is no table of its own"));
        }
    }
    Ok(differences)
}

/// In whose place no month could be made.
async fn strays(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select relname::text from pg_class
        where relnamespace = 'public'::regnamespace and relname ~ '^appointments_\\d{6}$'
            and oid not in (select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass)
        order by 1";
    let text = "it has the name of a month and is no partition of appointments: attach it or rename it";
    Ok(client.query(sql, &[]).await?.iter().map(|row| Difference::refuses(row.get::<_, String>(0), text)).collect())
}
