//! What a deployment's database has otherwise than the MVP's description. To compare one more thing, add a file with what it
//! asks the catalogue, and a line to [`all`].

mod bounds;
mod columns;
mod constraints;
mod functions;
mod keys;
mod names;
mod partitions;
mod policies;
mod protection;
mod triggers;

use serde::Serialize;
use tokio_postgres::{Client, Error};

use super::expected::TABLES;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Grade {
    /// More than expected, and in nobody's way.
    Fine,
    /// The server works with it; what it means is said.
    Noted,
    /// The server would not work, or not keep what it promises: nothing is adopted before it is mended.
    Refuses,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    pub grade: Grade,
    pub object: String,
    pub text: String,
}

impl Difference {
    fn fine(object: impl Into<String>, text: impl Into<String>) -> Difference {
        Difference { grade: Grade::Fine, object: object.into(), text: text.into() }
    }

    pub(super) fn noted(object: impl Into<String>, text: impl Into<String>) -> Difference {
        Difference { grade: Grade::Noted, ..Difference::fine(object, text) }
    }

    pub(super) fn refuses(object: impl Into<String>, text: impl Into<String>) -> Difference {
        Difference { grade: Grade::Refuses, ..Difference::fine(object, text) }
    }
}

/// Only asks the catalogue, so it is quick however many rows there are, and changes nothing.
pub(super) async fn all(client: &Client) -> Result<Vec<Difference>, Error> {
    let mut differences = missing_tables(client).await?;
    if !differences.is_empty() {
        return Ok(differences);
    }
    differences.extend(columns::compare(client).await?);
    differences.extend(keys::compare(client).await?);
    differences.extend(constraints::compare(client).await?);
    differences.extend(protection::compare(client).await?);
    differences.extend(policies::compare(client).await?);
    differences.extend(functions::compare(client).await?);
    differences.extend(triggers::compare(client).await?);
    differences.extend(partitions::compare(client).await?);
    differences.extend(names::indexes_taken(client).await?);
    Ok(differences)
}

pub(super) use names::{ADDED, names_taken};

pub(super) const MISSING_TABLE: &str = "the table is missing";

async fn missing_tables(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "select name from unnest($1::text[]) name where to_regclass('public.' || name) is null";
    let missing = client.query(sql, &[&table_names()]).await?;
    Ok(missing.iter().map(|row| Difference::refuses(row.get::<_, String>(0), MISSING_TABLE)).collect())
}

fn table_names() -> Vec<&'static str> {
    TABLES.iter().map(|table| table.name).collect()
}
