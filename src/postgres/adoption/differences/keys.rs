use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Error};

use super::{Difference, table_names};
use crate::postgres::adoption::expected::TABLES;

type Columns = BTreeSet<String>;

pub(super) async fn compare(client: &Client) -> Result<Vec<Difference>, Error> {
    let found = unique_indexes(client).await?;
    let mut differences = Vec::new();
    for table in &TABLES {
        let of_table = found.get(table.name).map_or(&[][..], Vec::as_slice);
        let has = |columns: &Columns| of_table.iter().any(|(_, found)| found == columns);
        let primary_key = columns_of(table.primary_key);
        if !of_table.iter().any(|(is_primary, found)| *is_primary && *found == primary_key) {
            differences
                .push(Difference::refuses(table.name, format!("its primary key is not ({})", table.primary_key)));
        }
        let expected: Vec<Columns> = table.unique.iter().map(|columns| columns_of(columns)).collect();
        if let Some(unique) = table.unique.filter(|columns| !has(&columns_of(columns))) {
            differences.push(Difference::noted(table.name, format!("nothing keeps ({unique}) unique")));
        }
        // One that holds the primary key refuses nothing.
        let is_extra = |found: &Columns| !found.is_superset(&primary_key) && !expected.contains(found);
        for (_, extra) in of_table.iter().filter(|(_, found)| is_extra(found)) {
            let list: Vec<&str> = extra.iter().map(String::as_str).collect();
            differences.push(Difference::noted(table.name, format!("({}) is unique there, besides", list.join(", "))));
        }
    }
    differences.extend(constraints(client).await?);
    Ok(differences)
}

fn columns_of(list: &str) -> Columns {
    list.split(", ").map(str::to_owned).collect()
}

async fn unique_indexes(client: &Client) -> Result<BTreeMap<String, Vec<(bool, Columns)>>, Error> {
    let sql = "select c.relname::text, i.indisprimary, array(
            select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum = any(i.indkey[0:i.indnkeyatts - 1])
        )
        from pg_index i join pg_class c on c.oid = i.indrelid
        where c.relnamespace = 'public'::regnamespace and c.relname = any($1::text[])
            and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null and not i.indisexclusion";
    let mut tables: BTreeMap<String, Vec<(bool, Columns)>> = BTreeMap::new();
    for row in client.query(sql, &[&table_names()]).await? {
        let columns = row.get::<_, Vec<String>>(2).into_iter().collect();
        tables.entry(row.get(0)).or_default().push((row.get(1), columns));
    }
    Ok(tables)
}

/// What no column list says: the foreign key of allocations, and what excludes overlaps, month by month.
async fn constraints(client: &Client) -> Result<Vec<Difference>, Error> {
    let sql = "with wanted (relation, kind, words, text) as (
            select 'resource_allocations', 'f', array['appointments(tenant_id, id, slot_start)', 'ON DELETE CASCADE'],
                'no foreign key leads to its appointment'
            union all
            select 'resource_allocations', 'x', array['tenant_id WITH =', 'resource_id WITH =', 'usage_range WITH &&'],
                'nothing excludes that a resource is used twice'
            union all
            select c.relname, 'x', array['tenant_id WITH =', 'staff_id WITH =', 'slot WITH &&'],
                'nothing excludes overlapping slots; the server refuses its own'
            from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'public.appointments'::regclass
        )
        select relation::text, text from wanted where not exists (
            select from pg_constraint where conrelid = format('public.%I', relation)::regclass and contype = kind::\"char\"
                and not exists (
                    select from unnest(words) word where position(word in pg_get_constraintdef(pg_constraint.oid)) = 0
                )
        )";
    let missing = client.query(sql, &[]).await?;
    Ok(missing.iter().map(|row| Difference::noted(row.get::<_, String>(0), row.get::<_, String>(1))).collect())
}
