//! The statements of a migration where a database is in use: those of its own form for adoption, or of its way up, some of
//! which stand otherwise in `NNNN_name.in_use.sql`.

use super::statements::{split, without_comments};
use crate::postgres::migration::Migration;

/// `\up BEGINNING` stands for each statement of the way up that begins so.
const OF_UP: &str = "\\up ";
/// `\instead BEGINNING` names the statement of the way up in whose place the next ones stand, up to the next `\instead`. An
/// ellipsis stands for whatever is between. What is before the first of them comes before the way up.
const INSTEAD: &str = "\\instead ";

pub(super) fn statements_of(migration: &Migration) -> Vec<&str> {
    match (migration.adopt, migration.in_use) {
        (Some(adopt), _) => with_those_of_the_way_up(split(adopt), migration.up),
        (None, Some(in_use)) => replaced(split(migration.up), split(in_use)),
        (None, None) => split(migration.up),
    }
}

fn with_those_of_the_way_up<'a>(statements: Vec<&'a str>, up: &'a str) -> Vec<&'a str> {
    let of_up = split(up);
    let mut all = Vec::new();
    for statement in statements {
        match without_comments(statement).strip_prefix(OF_UP) {
            Some(beginning) => all.extend(of_up.iter().filter(|one| without_comments(one).starts_with(beginning))),
            None => all.push(statement),
        }
    }
    all
}

fn replaced<'a>(up: Vec<&'a str>, in_use: Vec<&'a str>) -> Vec<&'a str> {
    let until_next =
        |from: usize| in_use[from..].iter().take_while(|one| !without_comments(one).starts_with(INSTEAD)).copied();
    let mut all: Vec<&str> = until_next(0).collect();
    for statement in up {
        let replaces =
            |one: &&str| without_comments(one).strip_prefix(INSTEAD).is_some_and(|named| names(named, statement));
        match in_use.iter().position(replaces) {
            Some(at) => all.extend(until_next(at + 1)),
            None => all.push(statement),
        }
    }
    all
}

fn names(beginning: &str, statement: &str) -> bool {
    let mut parts = beginning.split('…').map(str::trim);
    let mut rest = without_comments(statement).strip_prefix(parts.next().unwrap_or_default());
    for part in parts {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, rest)| rest);
    }
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::migrations::MIGRATIONS;

    #[test]
    fn what_a_form_takes_from_the_way_up_is_there() {
        for migration in MIGRATIONS {
            for statement in migration.adopt.into_iter().chain(migration.in_use).flat_map(split) {
                let text = without_comments(statement);
                let Some(beginning) = text.strip_prefix(OF_UP).or_else(|| text.strip_prefix(INSTEAD)) else { continue };
                let found = split(migration.up).into_iter().filter(|one| names(beginning, one)).count();
                let is_right = if text.starts_with(OF_UP) { found > 0 } else { found == 1 };
                assert!(
                    is_right,
                    "{:04}_{}: {found} statements begin with {beginning}",
                    migration.number, migration.name
                );
            }
        }
    }

    #[test]
    fn what_stands_otherwise_takes_the_place_of_one_statement() {
        let in_use = split("select 0;\\instead select 2;\nselect 20; select 21;\n\\instead do … b; do 'c'");
        let all = replaced(split("select 1; select 2; select 3; do 'a'; do 'a, b'"), in_use);
        assert_eq!(all, ["select 0", "select 1", "select 20", "select 21", "select 3", "do 'a'", "do 'c'"]);
    }
}
