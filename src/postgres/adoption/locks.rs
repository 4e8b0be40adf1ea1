//! Which tables of the MVP a statement locks against those who write there.

use std::collections::BTreeSet;

use super::expected::TABLES;
use super::statements::without_comments;

/// Functions of ours that change the tables they are given.
const CHANGING_FUNCTIONS: &str = "select app_private.";
/// What a block does to the tables that it names.
const CHANGES: [&str; 5] =
    ["create policy", "create trigger", "create or replace trigger", "alter table", "drop policy"];

/// The partitions of a table belong to it. Grants lock no table.
pub(super) fn tables_locked(statement: &str) -> BTreeSet<&'static str> {
    let text = without_comments(statement).split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let mut tables: BTreeSet<&str> = BTreeSet::new();
    if [
        "create policy ",
        "drop policy ",
        "create trigger ",
        "create or replace trigger ",
        "drop trigger ",
        "alter trigger ",
    ]
    .iter()
    .any(|beginning| text.starts_with(beginning))
    {
        tables.extend(text.split_once(" on ").and_then(|(_, rest)| named(rest)));
    }
    for beginning in ["alter table ", "lock table ", "lock "] {
        tables.extend(text.strip_prefix(beginning).and_then(named));
    }
    if text.starts_with("create table ") || text.starts_with("alter table ") {
        tables.extend(text.split(" references ").skip(1).filter_map(named));
    }
    let names_what_it_changes = text.starts_with(CHANGING_FUNCTIONS)
        || text.starts_with("do ") && CHANGES.iter().any(|change| text.contains(change));
    if names_what_it_changes {
        tables.extend(words(&text).filter_map(of_mvp));
    }
    tables
}

/// The table that `text` begins with.
fn named(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches("if exists ").trim_start_matches("only ").trim_start_matches("public.");
    of_mvp(words(text).next()?)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

fn of_mvp(word: &str) -> Option<&'static str> {
    TABLES.iter().map(|table| table.name).find(|name| *name == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_locks_what_it_changes_and_what_it_refers_to() {
        for (statement, expected) in [
            ("-- why\ncreate policy own_rows on public.appointments for select using (true)", &["appointments"][..]),
            ("alter table only products add column a int", &["products"]),
            (
                "create table t (a uuid references tenants (id), b uuid references resources (id))",
                &["resources", "tenants"],
            ),
            ("select app_private.watch_reference_table(t) from unnest(array['products', 'our_own']) t", &["products"]),
            ("do $$ begin execute format('create policy p on %I', 'tenants'); end $$", &["tenants"]),
            ("create function f() returns void as $$ alter table tenants add column a int $$", &[]),
            ("grant select on tenants to somebody", &[]),
            ("create index n on appointments (a)", &[]),
        ] {
            assert_eq!(tables_locked(statement).into_iter().collect::<Vec<_>>(), expected, "{statement}");
        }
    }
}
