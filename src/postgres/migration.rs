//! One migration: its two ways, its place in the list of what is applied, and what it refuses to take back.

use sha2::{Digest, Sha256};
use tokio_postgres::Transaction;

use super::migrations::LOSSES;
use super::schema::{Applied, SchemaError};

pub(super) struct Migration {
    pub number: u32,
    pub name: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    /// What is done instead of `up` on a database that an existing deployment runs, each statement a transaction of its own.
    pub adopt: Option<&'static str>,
    /// What stands in place of some statements of `up` on a database that is in use.
    pub in_use: Option<&'static str>,
}

impl Migration {
    pub const fn new(number: u32, name: &'static str, up: &'static str, down: &'static str) -> Migration {
        Migration { number, name, up, down, adopt: None, in_use: None }
    }

    pub const fn adopted_by(self, adopt: &'static str) -> Migration {
        Migration { adopt: Some(adopt), ..self }
    }

    pub const fn in_use_by(self, in_use: &'static str) -> Migration {
        Migration { in_use: Some(in_use), ..self }
    }

    /// Of the way up only: a better way down may reach databases that have long gone up.
    pub fn checksum(&self) -> String {
        Sha256::digest(self.up).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The statements that put it on the list of what is applied.
    pub fn note_applied(&self, is_adopted: bool) -> String {
        format!(
            "delete from app_private.schema_migrations_progress where number = {number};
             insert into app_private.schema_migrations (number, name, checksum, adopted_at)
             values ({number}, '{name}', '{checksum}', {adopted_at})",
            number = self.number,
            name = self.name,
            checksum = self.checksum(),
            adopted_at = if is_adopted { "now()" } else { "null" },
        )
    }

    pub async fn refuse_adopted(&self, transaction: &Transaction<'_>) -> Result<(), SchemaError> {
        let sql = "select exists (
            select from app_private.schema_migrations where number = $1::int8 and adopted_at is not null
        )";
        if transaction.query_one(sql, &[&i64::from(self.number)]).await?.get(0) {
            return Err(SchemaError::Adopted { number: self.number, name: self.name });
        }
        Ok(())
    }

    /// As the reader, who sees every tenant. The tables are locked first, so that no row comes in behind the question.
    pub async fn refuse_losses(&self, transaction: &Transaction<'_>) -> Result<(), SchemaError> {
        let Some((_, tables)) = LOSSES.iter().find(|(number, _)| *number == self.number) else { return Ok(()) };
        for table in *tables {
            transaction.batch_execute(&format!("lock table public.{table} in access exclusive mode")).await?;
        }
        transaction.batch_execute("set local role codeccloud_reader").await?;
        let mut filled = Vec::new();
        for table in *tables {
            let row = transaction.query_one(&format!("select exists (select from public.{table})"), &[]).await?;
            if row.get(0) {
                filled.push(*table);
            }
        }
        transaction.batch_execute("reset role").await?;
        if filled.is_empty() {
            return Ok(());
        }
        Err(SchemaError::Filled { number: self.number, name: self.name, tables: filled.join(", ") })
    }

    pub fn applied(&self) -> Applied {
        Applied { number: self.number, name: self.name }
    }

    pub fn failed(&self, source: tokio_postgres::Error) -> SchemaError {
        SchemaError::Failed { number: self.number, name: self.name, source }
    }
}
