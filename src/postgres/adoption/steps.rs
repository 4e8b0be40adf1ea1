//! Applies a migration step by step to a database that is in use: short transactions that would rather try again than wait
//! long, and indexes that are built beside the writers. Which steps are done is recorded with them, so that a run which was
//! interrupted goes on where it was.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::concurrent;
use super::statements::{IndexWanted, split, without_comments};
use crate::postgres::migration::Migration;
use crate::postgres::schema::{Applied, MIGRATIONS, SchemaError, checked_list, exclusive};

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
/// table of the MVP, or a comment, doesn't part them.
pub(super) fn steps_of(migration: &Migration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut together: Vec<&str> = Vec::new();
    let (statements, are_apart) = match migration.adopt {
        Some(adopt) => (with_those_of_the_way_up(split(adopt), migration.up), true),
        None => (split(migration.up), false),
    };
    for statement in statements {
        if let Some(index) = IndexWanted::of(statement) {
            steps.extend(transaction(&mut together));
            steps.push(Step::Index(index));
            continue;
        }
        if statement.trim_start().starts_with(BEGINS_STEP) {
            steps.extend(transaction(&mut together));
        }
        together.push(statement);
        if are_apart {
            steps.extend(transaction(&mut together));
        }
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

/// `\up BEGINNING` stands for each statement of the way up that begins so.
fn with_those_of_the_way_up<'a>(statements: Vec<&'a str>, up: &'a str) -> Vec<&'a str> {
    let of_up = split(up);
    let mut all = Vec::new();
    for statement in statements {
        match without_comments(statement).strip_prefix("\\up ") {
            Some(beginning) => all.extend(of_up.iter().filter(|one| without_comments(one).starts_with(beginning))),
            None => all.push(statement),
        }
    }
    all
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
    for (number, step) in steps.iter().enumerate().skip(steps_done(client, migration).await?) {
        let done = number + 1;
        let note = if done == steps.len() {
            migration.note_applied(migration.adopt.is_some())
        } else {
            note_progress(migration, done)
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

async fn steps_done(client: &Client, migration: &Migration) -> Result<usize, Error> {
    let sql = "select steps_done from app_private.schema_migrations_progress where number = $1::int8";
    let row = client.query_opt(sql, &[&i64::from(migration.number)]).await?;
    Ok(row.map_or(0, |row| usize::try_from(row.get::<_, i32>(0)).expect("the table checks that it is positive")))
}

fn note_progress(migration: &Migration, done: usize) -> String {
    format!(
        "insert into app_private.schema_migrations_progress (number, steps_done) values ({}, {done})
         on conflict (number) do update set steps_done = excluded.steps_done",
        migration.number
    )
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
        assert!(matches!(&steps[..], [Step::Index(_), Step::Index(_), Step::Transaction(_)]), "{steps:?}");
    }

    #[test]
    fn what_adoption_takes_from_the_way_up_is_there() {
        let mvp = &MIGRATIONS[0];
        for statement in split(mvp.adopt.unwrap()) {
            if without_comments(statement).starts_with("\\up ") {
                assert!(!with_those_of_the_way_up(vec![statement], mvp.up).is_empty(), "{statement}");
            }
        }
    }
}
