//! The SQL that adoption would run, to be read.

use std::fmt::Write;

use tokio_postgres::Client;

use super::administrator;
use super::concurrent::partitions;
use super::steps::{Step, steps_of};
use crate::postgres::migrations::MIGRATIONS;
use crate::postgres::schema::{self, SchemaError};

pub(super) async fn of(client: &Client) -> Result<String, SchemaError> {
    let mut text = String::new();
    let roles = administrator::script(client).await?;
    if !roles.is_empty() {
        text +=
            "-- Roles: by the login itself where it may make them, otherwise by an administrator, before the rest.\n";
        roles.iter().for_each(|statement| writeln!(text, "{statement};").expect("a string takes all"));
        text.push('\n');
    }
    let status = schema::status(client).await?;
    for (migration, _) in MIGRATIONS.iter().zip(&status).filter(|(_, status)| status.applied_at.is_none()) {
        for (number, step) in (1..).zip(steps_of(migration)) {
            let head = format!("-- {:04}_{}, step {number}", migration.number, migration.name);
            match step {
                Step::Transaction(sql) => {
                    text +=
                        &format!("{head}: a transaction\nbegin;\nset local lock_timeout = '500ms';\n{sql}commit;\n\n");
                }
                Step::Index(index) => {
                    let partitions = partitions(client, &index.table).await?;
                    text +=
                        &format!("{head}: outside of a transaction\n{};\n\n", index.script(&partitions).join(";\n"));
                }
            }
        }
    }
    Ok(text)
}
