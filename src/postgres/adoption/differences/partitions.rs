use tokio_postgres::{Client, Error};

use super::Difference;

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let key = "select pg_get_partkeydef(to_regclass('public.appointments'))";
    let key: Option<String> = client.query_one(key, &[]).await?.get(0);
    if key.as_deref() != Some("RANGE (slot_start)") {
        return Ok(vec![Difference::refuses("appointments", "it is not partitioned by range (slot_start)")]);
    }
    let sql =
        "select c.relname::text, pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', c.relname ~ '^appointments_\\d{6}$'
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'public.appointments'::regclass order by 1";
    let mut differences = Vec::new();
    for row in client.query(sql, &[]).await? {
        let name: String = row.get(0);
        let (is_default, is_named_by_month): (bool, bool) = (row.get(1), row.get(2));
        if is_default {
            let text = "a default partition: each new month would have to wait until it is searched";
            differences.push(Difference::refuses(name, text));
        } else if !is_named_by_month {
            differences.push(Difference::noted(name, "a partition that is not named appointments_YYYYMM"));
        }
    }
    Ok(differences)
}
