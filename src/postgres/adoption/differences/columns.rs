use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use super::{Difference, table_names};
use crate::postgres::adoption::expected::{ExpectedColumn, TABLES};

struct FoundColumn {
    data_type: String,
    is_nullable: bool,
    default: Option<String>,
    is_generated: bool,
}

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let mut found = found(client).await?;
    let mut differences = Vec::new();
    for table in &TABLES {
        let mut columns = found.remove(table.name).unwrap_or_default();
        for expected in table.columns() {
            let object = format!("{}.{}", table.name, expected.name);
            match columns.remove(expected.name) {
                None => differences.push(Difference::refuses(object, "the column is missing")),
                Some(found) => differences.extend(column(&object, &expected, &found)),
            }
        }
        let extra = columns.into_iter().map(|(name, column)| extra(format!("{}.{name}", table.name), &column));
        differences.extend(extra);
    }
    Ok(differences)
}

async fn found(client: &Client) -> Result<BTreeMap<String, BTreeMap<String, FoundColumn>>, Error> {
    let sql = "select c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), not a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> '', a.attidentity <> ''
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where c.relnamespace = 'public'::regnamespace and c.relname = any($1::text[]) and a.attnum > 0 and not a.attisdropped";
    let mut tables: BTreeMap<String, BTreeMap<String, FoundColumn>> = BTreeMap::new();
    for row in client.query(sql, &[&table_names()]).await? {
        let has_identity: bool = row.get(6);
        let column = FoundColumn {
            data_type: row.get::<_, &str>(2).trim_start_matches("public.").to_owned(),
            is_nullable: row.get(3),
            default: if has_identity { Some("nextval".to_owned()) } else { row.get(4) },
            is_generated: row.get(5),
        };
        tables.entry(row.get(0)).or_default().insert(row.get(1), column);
    }
    Ok(tables)
}

fn column(object: &str, expected: &ExpectedColumn, found: &FoundColumn) -> Vec<Difference> {
    if found.data_type != expected.data_type {
        let text = format!("its type is {}, not {}", found.data_type, expected.data_type);
        return vec![Difference::refuses(object, text)];
    }
    if found.is_generated != expected.is_generated {
        let text = if found.is_generated { "it is generated" } else { "it is not generated" };
        return vec![Difference::refuses(object, text)];
    }
    let mut differences = Vec::new();
    if found.is_nullable && !expected.is_nullable {
        differences.push(Difference::noted(object, "it may be NULL; the server expects a value"));
    }
    if !found.is_nullable && expected.is_nullable {
        let text = "it must not be NULL, and the server leaves it out";
        let is_filled = found.default.is_some() || found.is_generated;
        differences.push(if is_filled { Difference::noted(object, text) } else { Difference::refuses(object, text) });
    }
    if expected.is_generated {
        return differences;
    }
    match (expected.default, found.default.as_deref().map(plain)) {
        (Some(expected), Some(found)) if expected == found => {}
        (Some(expected), Some(found)) => {
            differences.push(Difference::noted(object, format!("its default is {found}, not {expected}")));
        }
        (Some(expected), None) if found.is_nullable => {
            differences.push(Difference::noted(object, format!("the default {expected} is missing")));
        }
        (Some(expected), None) => {
            differences.push(Difference::refuses(object, format!("the default {expected} is missing")));
        }
        (None, Some(found)) => differences.push(Difference::fine(object, format!("it has the default {found}"))),
        (None, None) => {}
    }
    differences
}

fn extra(object: String, column: &FoundColumn) -> Difference {
    if column.is_nullable || column.default.is_some() || column.is_generated {
        return Difference::fine(object, "a column of the deployment's own");
    }
    Difference::refuses(object, "a column of the deployment's own that every new row must fill; give it a default")
}

/// Without casts, and of a sequence only that it is one.
fn plain(default: &str) -> &str {
    if default.starts_with("nextval(") {
        return "nextval";
    }
    default.split_once("::").map_or(default, |(value, _)| value)
}
