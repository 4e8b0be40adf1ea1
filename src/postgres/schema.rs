//! Brings a database to the schema of this binary, and back.
//!
//! The migrations are the files of `schema/`, embedded. To add one: write `NNNN_name.up.sql` and `.down.sql` as
//! `schema/README.md` says, and add it to [`MIGRATIONS`].

use std::collections::BTreeMap;

use codeccloud_actors::time::Timestamp;
use tokio_postgres::{Client, Transaction};

use super::adoption::steps;
use super::migration::Migration;
use super::migrations::MIGRATIONS;

/// What the schema is tried with. From 16 on, a login without superuser is no full member of the roles that it makes, and
/// could neither act as them nor hand functions to them.
pub const SUPPORTED_MAJOR: i64 = 15;

/// `codecsch` in ASCII: the advisory lock under which the schema changes, in each database for itself.
const LOCK_KEY: i64 = 0x636f_6465_6373_6368;

/// A migration that a call has applied or rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    pub number: u32,
    pub name: &'static str,
}

/// A migration of this binary and when it was applied to the database, if it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationStatus {
    pub number: u32,
    pub name: &'static str,
    pub applied_at: Option<Timestamp>,
    /// The tables were there before, and the migration brought only its additions in.
    pub is_adopted: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("migration {number:04}_{name} was applied with another text than this binary's; it must never be edited")]
    Changed { number: u32, name: &'static str },
    #[error("the database has migration {database}, this binary ends at {binary}: run the newer binary")]
    Newer { database: u32, binary: u32 },
    #[error("taking back migration {number:04}_{name} would lose the rows of {tables}: there is no way down past it")]
    Filled { number: u32, name: &'static str, tables: String },
    #[error(
        "the tables of {number:04}_{name} were adopted, they are not ours to take away: there is no way down past it"
    )]
    Adopted { number: u32, name: &'static str },
    #[error("the server works with PostgreSQL {SUPPORTED_MAJOR}, and this is {found}")]
    Version { found: i64 },
    #[error("the database has the MVP's tables, and they are not adopted yet: run `codeccloud schema adopt`")]
    NotAdopted,
    #[error("migrating a database in use takes a connection past the pooler: set DATABASE_DIRECT_URL")]
    NoSession,
    #[error(
        "migration {number:04}_{name} found its tables in use again and again; what is done stays, run it once more"
    )]
    InUse { number: u32, name: &'static str, source: tokio_postgres::Error },
    #[error(
        "another binary has done {done} steps of migration {number:04}_{name}, and this one would go on otherwise: \
         finish it with that binary"
    )]
    OtherSteps { number: u32, name: &'static str, done: usize },
    #[error("migration {number:04}_{name} failed")]
    Failed { number: u32, name: &'static str, source: tokio_postgres::Error },
    #[error("counting the totals of earlier bookings failed; what is counted stays, run it once more")]
    Totals(#[source] tokio_postgres::Error),
    #[error("reading or writing the list of applied migrations failed")]
    Bookkeeping(#[from] tokio_postgres::Error),
}

/// Applies what is missing and returns it. Servers that start at once take turns, and the later ones find nothing left to
/// do. On a fresh database each migration is a transaction: after a failure those before it stay. Where there are tenants,
/// or an adopted database, migrations go step by step.
pub async fn apply(client: &mut Client) -> Result<Vec<Applied>, SchemaError> {
    refuse_other_version(client).await?;
    let has_appointments = client.query_typed_one("select to_regclass('public.appointments') is not null", &[]).await?;
    if has_appointments.get(0) && !is_begun(client).await? {
        return Err(SchemaError::NotAdopted);
    }
    create_list(client).await?;
    if has_tenants(client).await? {
        // Behind a pooler without sessions there is nothing to apply, which was made sure of.
        let applied = if is_complete(client).await? { Vec::new() } else { steps::apply_all(client, |_| {}).await? };
        steps::count_totals(client).await.map_err(SchemaError::Totals)?;
        return Ok(applied);
    }
    let mut applied = Vec::new();
    for migration in MIGRATIONS {
        let transaction = exclusive(client).await?;
        if checked_list(&transaction).await?.contains_key(&migration.number) {
            continue;
        }
        transaction.batch_execute(migration.up).await.map_err(|source| migration.failed(source))?;
        transaction.batch_execute(&migration.note_applied(false)).await?;
        transaction.commit().await?;
        applied.push(migration.applied());
    }
    Ok(applied)
}

async fn is_complete(client: &mut Client) -> Result<bool, SchemaError> {
    let transaction = exclusive(client).await?;
    let list = checked_list(&transaction).await?;
    Ok(MIGRATIONS.iter().all(|migration| list.contains_key(&migration.number)))
}

pub(super) async fn refuse_other_version(client: &Client) -> Result<(), SchemaError> {
    let sql = "select current_setting('server_version_num')::int8 / 10000";
    let found: i64 = client.query_typed_one(sql, &[]).await?.get(0);
    supported(found)
}

fn supported(found: i64) -> Result<(), SchemaError> {
    if found == SUPPORTED_MAJOR { Ok(()) } else { Err(SchemaError::Version { found }) }
}

/// Behind a pooler nothing can go step by step.
pub async fn refuse_without_session(client: &mut Client) -> Result<(), SchemaError> {
    refuse_other_version(client).await?;
    let is_missing = status(client).await?.iter().any(|migration| migration.applied_at.is_none());
    if is_missing && has_tenants(client).await? { Err(SchemaError::NoSession) } else { Ok(()) }
}

/// Whether the list, if there is one, is of this binary or an older one.
pub(super) async fn refuse_foreign_list(client: &mut Client) -> Result<(), SchemaError> {
    let transaction = client.transaction().await?;
    let exists = transaction.query_one("select to_regclass('app_private.schema_migrations') is not null", &[]).await?;
    if exists.get(0) {
        checked_list(&transaction).await?;
    }
    Ok(())
}

/// The first migration is on the list.
pub(super) async fn is_begun(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let has_list =
        client.query_typed_one("select to_regclass('app_private.schema_migrations') is not null", &[]).await?;
    let first = "select exists (select from app_private.schema_migrations where number = 1)";
    Ok(has_list.get(0) && client.query_typed_one(first, &[]).await?.get(0))
}

async fn has_tenants(client: &mut Client) -> Result<bool, tokio_postgres::Error> {
    if !is_begun(client).await? {
        return Ok(false);
    }
    let transaction = client.transaction().await?;
    transaction.batch_execute("set local role codeccloud_reader").await?;
    Ok(transaction.query_one("select exists (select from public.tenants)", &[]).await?.get(0))
}

/// Every migration of this binary, in order. Changes nothing, and works on an empty database.
pub async fn status(client: &Client) -> Result<Vec<MigrationStatus>, SchemaError> {
    let exists = client.query_typed_one("select to_regclass('app_private.schema_migrations') is not null", &[]).await?;
    let rows = if exists.get(0) {
        // A list that an older binary has made says nothing of adoption.
        let applied = "select number::int8, (extract(epoch from applied_at) * 1000)::int8,
            to_jsonb(m) ->> 'adopted_at' is not null from app_private.schema_migrations m";
        client.query_typed(applied, &[]).await?
    } else {
        Vec::new()
    };
    let found: BTreeMap<i64, (i64, bool)> = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    let status = |migration: &Migration| {
        let found = found.get(&i64::from(migration.number)).copied();
        MigrationStatus {
            number: migration.number,
            name: migration.name,
            applied_at: found.map(|(at, _)| Timestamp::from_millis(at)),
            is_adopted: found.is_some_and(|(_, is_adopted)| is_adopted),
        }
    };
    Ok(MIGRATIONS.iter().map(status).collect())
}

/// Takes back every migration above `to`, the newest first, each in a transaction, and returns them in that order.
pub async fn rollback(client: &mut Client, to: u32) -> Result<Vec<Applied>, SchemaError> {
    create_list(client).await?;
    // All of them are asked before the first is taken back, so that a refusal leaves everything in place.
    let transaction = exclusive(client).await?;
    let list = checked_list(&transaction).await?;
    let above = |migration: &&Migration| migration.number > to && list.contains_key(&migration.number);
    for migration in MIGRATIONS.iter().rev().filter(above) {
        migration.refuse_adopted(&transaction).await?;
        migration.refuse_losses(&transaction).await?;
    }
    drop(transaction);
    let mut taken_back = Vec::new();
    for migration in MIGRATIONS.iter().rev().filter(|migration| migration.number > to) {
        let transaction = exclusive(client).await?;
        if !checked_list(&transaction).await?.contains_key(&migration.number) {
            continue;
        }
        migration.refuse_adopted(&transaction).await?;
        migration.refuse_losses(&transaction).await?;
        transaction.batch_execute(migration.down).await.map_err(|source| migration.failed(source))?;
        transaction
            .execute(
                "delete from app_private.schema_migrations where number = $1::int8",
                &[&i64::from(migration.number)],
            )
            .await?;
        transaction.commit().await?;
        taken_back.push(migration.applied());
    }
    Ok(taken_back)
}

/// A transaction that holds the schema's lock. The wait for that lock has no end, since another server's migrations may
/// take long; the wait for a table has one, because a migration that queues for a table stops everybody behind it.
pub(super) async fn exclusive(client: &mut Client) -> Result<Transaction<'_>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK_KEY]).await?;
    transaction.batch_execute("set local lock_timeout = '5s'").await?;
    Ok(transaction)
}

pub(super) async fn create_list(client: &mut Client) -> Result<(), tokio_postgres::Error> {
    let transaction = exclusive(client).await?;
    let is_complete = "select exists (select from pg_attribute where attname = 'steps_hash' and not attisdropped
        and attrelid = to_regclass('app_private.schema_migrations_progress'))";
    if transaction.query_one(is_complete, &[]).await?.get(0) {
        return Ok(());
    }
    transaction.batch_execute(include_str!("../../schema/list.sql")).await?;
    transaction.commit().await
}

/// The numbers and checksums in the database, once it is clear that they are this binary's.
pub(super) async fn checked_list(transaction: &Transaction<'_>) -> Result<BTreeMap<u32, String>, SchemaError> {
    let rows = transaction.query("select number, checksum from app_private.schema_migrations", &[]).await?;
    let number = |row: &tokio_postgres::Row| u32::try_from(row.get::<_, i32>(0)).expect("the table checks number > 0");
    let list: BTreeMap<u32, String> = rows.iter().map(|row| (number(row), row.get(1))).collect();

    let binary = MIGRATIONS.last().expect("there are migrations").number;
    if let Some((&database, _)) = list.last_key_value()
        && database > binary
    {
        return Err(SchemaError::Newer { database, binary });
    }
    for migration in MIGRATIONS {
        if list.get(&migration.number).is_some_and(|checksum| *checksum != migration.checksum()) {
            return Err(SchemaError::Changed { number: migration.number, name: migration.name });
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_another_major_version_is_refused_in_words() {
        assert!(supported(SUPPORTED_MAJOR).is_ok());
        let refusal = supported(16).unwrap_err().to_string();
        assert_eq!(refusal, "the server works with PostgreSQL 15, and this is 16");
    }
}
