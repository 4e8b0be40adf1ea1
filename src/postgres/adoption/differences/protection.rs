//! Row security, and whose the tables are.

use tokio_postgres::{Client, Error};

use super::{Difference, table_names};

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select c.relname::text, c.relrowsecurity, c.relforcerowsecurity, pg_has_role(c.relowner, 'usage'),
            c.relowner::regrole::text
        from pg_class c
        where c.relnamespace = 'public'::regnamespace and (c.relname = any($1::text[]) or c.oid in (
            select inhrelid from pg_inherits where inhparent = 'public.appointments'::regclass
        )) and c.relkind in ('r', 'p') order by 1";
    let mut differences = Vec::new();
    for row in client.query(sql, &[&table_names()]).await? {
        let table: String = row.get(0);
        let (is_enabled, is_forced, is_ours): (bool, bool, bool) = (row.get(1), row.get(2), row.get(3));
        if !is_enabled {
            let text = format!("row security is off: alter table public.{table} enable row level security");
            differences.push(Difference::refuses(&table, text));
        } else if !is_forced {
            differences.push(Difference::noted(&table, "row security does not hold for the owner: it is not forced"));
        }
        if !is_ours {
            let owner: &str = row.get(4);
            differences.push(Difference::refuses(&table, format!("it belongs to {owner}: adopt as that login")));
        }
    }
    Ok(differences)
}
