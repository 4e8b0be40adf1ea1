//! Rows that are read and sent on as the bytes that they travel in, so that neither side pays for understanding them.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row};

#[derive(Debug, Clone)]
pub struct Raw(Option<Vec<u8>>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Some(raw.to_vec())))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(raw) => {
                out.extend_from_slice(raw);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A table's rows, by column, and the statement that inserts some of them into its copy.
pub struct RawTable {
    pub insert: String,
    pub columns: Vec<Vec<Raw>>,
    pub rows: usize,
}

impl RawTable {
    /// `query` selects rows of `table`, with all their columns.
    pub async fn read(client: &Client, table: &str, query: &str) -> RawTable {
        let statement = client.prepare(query).await.expect("valid");
        let names: Vec<&str> = statement.columns().iter().map(tokio_postgres::Column::name).collect();
        let parts: Vec<String> = statement
            .columns()
            .iter()
            .enumerate()
            .map(|(index, column)| format!("${}::{}[]", index + 1, column.type_().name()))
            .collect();
        let insert = format!(
            "insert into bare.{table} ({}) select * from unnest({}) on conflict do nothing",
            names.join(", "),
            parts.join(", ")
        );
        let rows: Vec<Row> = client.query(&statement, &[]).await.expect("reads");
        let columns = (0..names.len()).map(|index| rows.iter().map(|row| row.get(index)).collect()).collect();
        RawTable { insert, columns, rows: rows.len() }
    }

    /// The `part`th of `parts` equal slices of every column.
    pub fn slice(&self, part: usize, parts: usize) -> Vec<&[Raw]> {
        let (from, to) = (self.rows * part / parts, self.rows * (part + 1) / parts);
        self.columns.iter().map(|column| &column[from..to]).collect()
    }
}
