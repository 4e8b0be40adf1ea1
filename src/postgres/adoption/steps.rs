//! Applies a migration step by step to a database that is in use: short transactions that would rather try again than wait
//! long, and indexes that are built beside the writers. Which steps are done is recorded with them, so that a run which was
//! interrupted goes on where it was.

use std::collections::BTreeSet;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::concurrent;
use super::forms::statements_of;
use super::locks::tables_locked;
use super::statements::IndexWanted;
use crate::postgres::migration::Migration;
use crate::postgres::migrations::MIGRATIONS;
use crate::postgres::schema::{Applied, SchemaError, checked_list, exclusive};

/// `codecstp` in ASCII: held by the session that goes step by step. Others try for it now and then: one that waited for it in
/// the database would have a snapshot, and the building of an index waits for all that are older than it.
const KEY: i64 = 0x636f_6465_6373_7470;
const TURN_PAUSE: Duration = Duration::from_millis(500);

/// Whoever queues for a table holds up everyone behind. Half of PostgreSQL's `deadlock_timeout`, so that we are always the
/// one that gives way.
const LOCK_WAIT: &str = "set local lock_timeout = '500ms'";
/// Some three minutes.
const TRIES_MAX: u32 = 120;
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

/// The comment with which a statement begins that needs the locks of another table than those before it.
const BEGINS_STEP: &str = "-- step:";

#[derive(Debug)]
pub(super) enum Step {
    Transaction(String),
    Index(IndexWanted),
}

/// In order. The statements of a migration without a form of its own for adoption belong together as far as an index on a
/// table of the MVP, or a comment, doesn't part them, and as long as they lock one table of the MVP: whoever held several
/// could meet a writer that takes them in another order.
pub(super) fn steps_of(migration: &Migration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut together: Vec<&str> = Vec::new();
    let mut locked = BTreeSet::new();
    for statement in statements_of(migration) {
        if let Some(index) = IndexWanted::of(statement) {
            steps.extend(transaction(&mut together));
            steps.push(Step::Index(index));
            continue;
        }
        let locks = tables_locked(statement);
        let locks_another = !locked.is_empty() && !locks.is_subset(&locked);
        if statement.trim_start().starts_with(BEGINS_STEP) || locks_another || migration.adopt.is_some() {
            steps.extend(transaction(&mut together));
        }
        if together.is_empty() {
            locked.clear();
        }
        locked.extend(locks);
        together.push(statement);
    }
    steps.extend(transaction(&mut together));
    steps
}

fn transaction(statements: &mut Vec<&str>) -> Option<Step> {
    if statements.is_empty() {
        return None;
    }
    Some(Step::Transaction(format!("{};\n", std::mem::take(statements).join(";\n\n"))))
}

/// Applies what is missing while others work with the database, and tells of each migration. One session at a time.
pub(in crate::postgres) async fn apply_all(
    client: &mut Client,
    mut tell: impl FnMut(Applied),
) -> Result<Vec<Applied>, SchemaError> {
    // Platforms end statements that take long; building an index may.
    client.batch_execute("set statement_timeout = 0").await?;
    while !client.query_one("select pg_try_advisory_lock($1)", &[&KEY]).await?.get::<_, bool>(0) {
        tokio::time::sleep(TURN_PAUSE).await;
    }
    let mut applied = Vec::new();
    let outcome = apply_missing(client, |one| {
        tell(one);
        applied.push(one);
    })
    .await;
    client.execute("select pg_advisory_unlock($1)", &[&KEY]).await?;
    client.batch_execute("reset statement_timeout").await?;
    outcome.map(|()| applied)
}

async fn apply_missing(client: &mut Client, mut tell: impl FnMut(Applied)) -> Result<(), SchemaError> {
    for migration in MIGRATIONS {
        let transaction = exclusive(client).await?;
        let is_applied = checked_list(&transaction).await?.contains_key(&migration.number);
        drop(transaction);
        if !is_applied {
            apply(client, migration).await?;
            tell(migration.applied());
        }
    }
    Ok(())
}

/// Runs what is left to do of `migration` and notes it as applied.
async fn apply(client: &mut Client, migration: &Migration) -> Result<(), SchemaError> {
    let steps = steps_of(migration);
    for (number, step) in steps.iter().enumerate().skip(steps_done(client, migration, &steps).await?) {
        let done = number + 1;
        let note = if done == steps.len() {
            migration.note_applied(migration.adopt.is_some())
        } else {
            note_progress(migration, &steps[..done])
        };
        let outcome = match step {
            Step::Transaction(sql) => patiently(client, &format!("{sql}{note}")).await,
            Step::Index(index) => match build(client, index).await {
                Ok(()) => patiently(client, &note).await,
                Err(error) => Err(error),
            },
        };
        outcome.map_err(|source| {
            let (number, name) = (migration.number, migration.name);
            if gave_way(&source) { SchemaError::InUse { number, name, source } } else { migration.failed(source) }
        })?;
    }
    Ok(())
}

pub(super) async fn build(client: &mut Client, index: &IndexWanted) -> Result<(), Error> {
    if let Some(sql) = concurrent::begin(client, index).await? {
        patiently(client, &sql).await?;
    }
    for sql in concurrent::build(client, index).await? {
        patiently(client, &sql).await?;
    }
    Ok(())
}

/// How many an earlier run has done. They must have been these very ones: steps are counted, and another binary may have
/// cut the migration otherwise.
async fn steps_done(client: &Client, migration: &Migration, steps: &[Step]) -> Result<usize, SchemaError> {
    let sql = "select steps_done, steps_hash from app_private.schema_migrations_progress where number = $1::int8";
    let Some(row) = client.query_opt(sql, &[&i64::from(migration.number)]).await? else { return Ok(0) };
    let done = usize::try_from(row.get::<_, i32>(0)).expect("the table checks that it is positive");
    let hash: Option<String> = row.get(1);
    match steps.get(..done) {
        Some(same) if hash == Some(hash_of(same)) => Ok(done),
        _ => Err(SchemaError::OtherSteps { number: migration.number, name: migration.name, done }),
    }
}

fn note_progress(migration: &Migration, done: &[Step]) -> String {
    format!(
        "insert into app_private.schema_migrations_progress (number, steps_done, steps_hash) values ({}, {}, '{}')
         on conflict (number) do update set steps_done = excluded.steps_done, steps_hash = excluded.steps_hash",
        migration.number,
        done.len(),
        hash_of(done)
    )
}

fn hash_of(steps: &[Step]) -> String {
    let digest = steps.iter().fold(Sha256::new(), |digest, step| digest.chain_update(format!("{step:?}")));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A transaction that gives way, again and again, to whoever holds what it needs.
pub(super) async fn patiently(client: &mut Client, sql: &str) -> Result<(), Error> {
    let mut tries = 1;
    loop {
        match once(client, sql).await {
            Err(error) if gave_way(&error) && tries < TRIES_MAX => {
                tokio::time::sleep(PAUSE_MAX.min(Duration::from_millis(50) * tries)).await;
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Counts the totals of rows that are older than they are, a month of a salon at a time.
pub(in crate::postgres) async fn count_totals(client: &mut Client) -> Result<(), Error> {
    let mut tries = 1;
    loop {
        match count_month(client).await {
            Ok(true) => tries = 1,
            Err(error) if gave_way(&error) && tries < TRIES_MAX => {
                tokio::time::sleep(PAUSE_MAX.min(Duration::from_millis(50) * tries)).await;
                tries += 1;
            }
            outcome => return outcome.map(drop),
        }
    }
}

/// False: nothing was left.
async fn count_month(client: &mut Client) -> Result<bool, Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK_WAIT).await?;
    let counted = transaction.query_typed("select app_private.count_next_totals()", &[]).await?;
    transaction.commit().await?;
    Ok(counted.first().is_some_and(|row| row.get(0)))
}

async fn once(client: &mut Client, sql: &str) -> Result<(), Error> {
    let transaction = exclusive(client).await?;
    transaction.batch_execute(LOCK_WAIT).await?;
    transaction.batch_execute(sql).await?;
    transaction.commit().await
}

pub(super) fn gave_way(error: &Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::T_R_DEADLOCK_DETECTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::adoption::statements::{split, without_comments};

    /// What would rewrite a table of the MVP, or hold up its writers while all rows are read. The remedies: a default that
    /// is no function of the row, `not valid`, and indexes by statements of their own that `IndexWanted` knows.
    #[test]
    fn no_migration_holds_up_the_writers_of_a_table_of_the_mvp() {
        for migration in MIGRATIONS.iter().filter(|migration| migration.adopt.is_none()) {
            for step in steps_of(migration) {
                let Step::Transaction(sql) = step else { continue };
                for statement in split(&sql) {
                    let text = without_comments(statement).split_whitespace().collect::<Vec<_>>().join(" ");
                    if let Some(fault) = slow(&text) {
                        panic!("{:04}_{}: {fault}: {text}", migration.number, migration.name);
                    }
                }
            }
        }
    }

    fn slow(text: &str) -> Option<&'static str> {
        let is_of_mvp = |rest: &str| {
            let table = rest.split_whitespace().next().unwrap_or_default();
            super::super::expected::is_of_mvp(table.strip_prefix("public.").unwrap_or(table))
        };
        if text.starts_with("create ") && text.contains("index ") {
            let on = text.split_once(" on ").map_or("", |(_, rest)| rest);
            return is_of_mvp(on).then_some("an index without a name");
        }
        let rest = text.strip_prefix("alter table ")?;
        if !is_of_mvp(rest.strip_prefix("only ").unwrap_or(rest)) {
            return None;
        }
        let unvalidated = text.contains("not valid");
        let slow = [
            (" unique", "a unique constraint among other things"),
            (" primary key", "a primary key"),
            (" set not null", "a scan"),
            (" type ", "a rewrite"),
            (" generated always", "a rewrite"),
            ("gen_random_uuid()", "a rewrite"),
        ];
        let found = slow.iter().find(|(words, _)| text.contains(words)).map(|(_, fault)| *fault);
        let checked = (text.contains(" check (") || text.contains(" references ")) && !unvalidated;
        found.or(checked.then_some("a scan"))
    }

    #[test]
    fn an_index_on_a_table_of_the_mvp_is_a_step_of_its_own() {
        let reference = MIGRATIONS.iter().find(|migration| migration.number == 2).unwrap();
        let steps = steps_of(reference);
        assert!(matches!(&steps[..], [Step::Index(_), Step::Index(_), Step::Transaction(_), ..]), "{steps:?}");
    }

    /// Also for a lock of two tables by one statement, which only `NNNN_name.in_use.sql` can take apart.
    #[test]
    fn no_step_locks_two_tables_of_the_mvp() {
        for migration in MIGRATIONS {
            for step in steps_of(migration) {
                let Step::Transaction(sql) = step else { continue };
                let locked: BTreeSet<&str> = split(&sql).into_iter().flat_map(tables_locked).collect();
                assert!(locked.len() < 2, "{:04}_{} locks {locked:?}: {sql}", migration.number, migration.name);
            }
        }
    }
}
