//! Cuts a migration into its statements, and tells which of them make an index on a table of the MVP.

use super::expected;

/// The statements of a file, each with the comments before it and without its semicolon.
pub(super) fn split(sql: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while at < sql.len() {
        let rest = &sql[at..];
        if rest.starts_with(';') {
            statements.push(sql[begin..at].trim());
            begin = at + 1;
        }
        at += token_bytes(rest);
    }
    statements.push(sql[begin..].trim());
    statements.retain(|statement| !without_comments(statement).is_empty());
    statements
}

/// How long the comment, the text in quotes or the single character is that `rest` begins with.
fn token_bytes(rest: &str) -> usize {
    let closed_by =
        |open: usize, close: &str| rest[open..].find(close).map_or(rest.len(), |at| open + at + close.len());
    let first = rest.chars().next().map_or(1, char::len_utf8);
    match &rest[..first] {
        "-" if rest.starts_with("--") => closed_by(2, "\n"),
        "/" if rest.starts_with("/*") => closed_by(2, "*/"),
        // A doubled quote ends one text and begins the next.
        quote @ ("'" | "\"") => closed_by(1, quote),
        "$" => match rest[1..].find(|letter: char| !letter.is_alphanumeric() && letter != '_') {
            Some(end) if rest[1 + end..].starts_with('$') => closed_by(end + 2, &rest[..end + 2]),
            _ => 1,
        },
        _ => first,
    }
}

pub(super) fn without_comments(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    while rest.starts_with("--") || rest.starts_with("/*") {
        rest = rest[token_bytes(rest)..].trim_start();
    }
    rest
}

/// An index on a table that may be large, wanted by a statement that would hold up all who write there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexWanted {
    pub name: String,
    pub table: String,
    pub is_unique: bool,
    /// What follows the table's name: columns, conditions, options.
    pub definition: String,
    /// The index serves a unique constraint of the same name.
    pub is_constraint: bool,
    /// `if not exists`: by whatever name.
    pub is_dispensable: bool,
}

impl IndexWanted {
    /// Of `create [unique] index NAME on TABLE …` and `alter table TABLE add constraint NAME unique (…)`.
    pub fn of(statement: &str) -> Option<IndexWanted> {
        let text = without_comments(statement).split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = Self::created(&text).or_else(|| Self::constrained(&text))?;
        expected::is_of_mvp(&wanted.table).then_some(wanted)
    }

    fn created(text: &str) -> Option<IndexWanted> {
        let (rest, is_unique) = match text.strip_prefix("create unique index ") {
            Some(rest) => (rest, true),
            None => (text.strip_prefix("create index ")?, false),
        };
        let (rest, is_dispensable) = match rest.strip_prefix("if not exists ") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (name, rest) = rest.split_once(" on ")?;
        let (table, definition) = rest.split_once(' ')?;
        Some(IndexWanted {
            name: name.to_owned(),
            table: unqualified(table),
            is_unique,
            definition: definition.to_owned(),
            is_constraint: false,
            is_dispensable,
        })
    }

    fn constrained(text: &str) -> Option<IndexWanted> {
        let (table, rest) = text.strip_prefix("alter table ")?.split_once(" add constraint ")?;
        let (name, columns) = rest.split_once(" unique (")?;
        let columns = columns.strip_suffix(')').filter(|columns| !columns.contains(')'))?;
        Some(IndexWanted {
            name: name.to_owned(),
            table: unqualified(table),
            is_unique: true,
            definition: format!("({columns})"),
            is_constraint: true,
            is_dispensable: false,
        })
    }
}

/// What an index is on and under which condition, spelled as neither its author nor the catalogue would.
pub(super) fn plain(definition: &str) -> String {
    let definition = definition.to_lowercase();
    definition.chars().filter(|letter| !letter.is_whitespace() && !"()".contains(*letter)).collect()
}

fn unqualified(table: &str) -> String {
    table.strip_prefix("public.").unwrap_or(table).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_within_quotes_and_comments_ends_nothing() {
        let sql = "-- first; still the comment\nselect ';' \"a;b\" /* ; */;\n\
                   do $$ begin; end $$;  do $x$ $$;$$ $x$; select $1 - 2;\n-- the end;\n";
        let statements = split(sql);
        assert_eq!(statements.len(), 4, "{statements:?}");
        assert_eq!(without_comments(statements[0]), "select ';' \"a;b\" /* ; */");
        assert_eq!(statements[1..], ["do $$ begin; end $$", "do $x$ $$;$$ $x$", "select $1 - 2"]);
    }

    #[test]
    fn an_index_on_a_table_of_the_mvp_is_recognised() {
        let wanted =
            IndexWanted::of("-- why\ncreate unique index if not exists n\n  on public.appointments (a, b) where c");
        assert_eq!(
            wanted,
            Some(IndexWanted {
                name: "n".to_owned(),
                table: "appointments".to_owned(),
                is_unique: true,
                definition: "(a, b) where c".to_owned(),
                is_constraint: false,
                is_dispensable: true,
            })
        );
        let constraint =
            IndexWanted::of("alter table staff_profiles add constraint key unique (tenant_id, id)").unwrap();
        assert!(constraint.is_constraint && constraint.definition == "(tenant_id, id)", "{constraint:?}");
        assert_eq!(IndexWanted::of("create index n on event_store (position)"), None);
        assert_eq!(IndexWanted::of("alter table tenants add constraint c unique (a), add column b int"), None);
    }
}
