//! Amounts that the server could not show: it knows some currencies, and a list with a row in another would fail as a whole.

use codeccloud_actors::money::Currency;
use tokio_postgres::{Client, Error};

use super::differences::Difference;
use super::report::{in_sight, sees_all_rows};

const PRICED: [&str; 3] = ["appointments", "appointment_services", "products"];

pub(super) async fn in_unknown_currencies(client: &mut Client, dry_run: bool) -> Result<Vec<Difference>, Error> {
    if sees_all_rows(client).await? {
        return unknown(client).await;
    }
    if dry_run {
        let text = "row security hides the rows from this login: their currencies are looked at before adoption begins";
        return Ok(vec![Difference::noted("rows", text)]);
    }
    in_sight(client, &PRICED, unknown).await
}

async fn unknown(client: &Client) -> Result<Vec<Difference>, Error> {
    client.batch_execute("set statement_timeout = 0").await?;
    let known: Vec<&str> = Currency::ALL.iter().map(|currency| currency.as_str()).collect();
    let mut differences = Vec::new();
    for table in PRICED {
        let sql = format!(
            "select coalesce(currency::text, 'NULL'), count(*) from public.{table}
             where currency::text = any($1::text[]) is not true group by 1 order by 1"
        );
        for row in client.query(&sql, &[&known]).await? {
            let (currency, count): (&str, i64) = (row.get(0), row.get(1));
            let text = format!("the server does not know {currency}, which {count} rows are in");
            differences.push(Difference::refuses(format!("{table}.currency"), text));
        }
    }
    client.batch_execute("reset statement_timeout").await?;
    Ok(differences)
}
