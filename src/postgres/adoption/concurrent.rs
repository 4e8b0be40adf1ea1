//! Indexes on tables that are being written to.

use std::time::Duration;

use tokio_postgres::{Client, Error};

use super::statements::{IndexWanted, plain};
use super::steps::gave_way;

/// Building waits for the transactions that are older than it, and nobody waits for it meanwhile.
const WAIT: &str = "set lock_timeout = '60s'";
const TRIES_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// What comes before: the index of a partitioned table, so far without those of its partitions. A partition that is made
/// from then on gets its own with it.
pub(super) async fn begin(client: &Client, wanted: &IndexWanted) -> Result<Option<String>, Error> {
    Ok(is_partitioned(client, &wanted.table).await?.then(|| wanted.on_parent()))
}

/// Builds what is missing, one index after the other, and returns the statements that put them in their place, which take a
/// short lock.
pub(super) async fn build(client: &Client, wanted: &IndexWanted) -> Result<Vec<String>, Error> {
    client.batch_execute(WAIT).await?;
    let built = build_each(client, wanted).await;
    client.batch_execute("reset lock_timeout").await?;
    built
}

async fn build_each(client: &Client, wanted: &IndexWanted) -> Result<Vec<String>, Error> {
    if wanted.is_dispensable && has_alike(client, wanted).await? {
        return Ok(Vec::new());
    }
    if !is_partitioned(client, &wanted.table).await? {
        build_one(client, &wanted.name, &wanted.table, &wanted.create(&wanted.name, &wanted.table)).await?;
        let exists = "select exists (select from pg_constraint where conname = $1 and conrelid = $2::text::regclass)";
        let is_constrained: bool = client.query_one(exists, &[&wanted.name, &wanted.table]).await?.get(0);
        let joined = wanted.is_constraint && !is_constrained;
        return Ok(if joined { vec![wanted.constrain()] } else { Vec::new() });
    }
    let mut joining = Vec::new();
    for partition in partitions(client, &wanted.table).await? {
        let name = wanted.name_on(&partition);
        build_one(client, &name, &partition, &wanted.create(&name, &partition)).await?;
        joining.push(wanted.attach(&name));
    }
    Ok(joining)
}

async fn build_one(client: &Client, name: &str, table: &str, create: &str) -> Result<(), Error> {
    let mut tries = 1;
    loop {
        match try_to_build(client, name, table, create).await {
            Err(error) if gave_way(&error) && tries < TRIES_MAX => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// A build that failed or was interrupted leaves an index behind that is not valid: it is dropped, which waits like a build.
async fn try_to_build(client: &Client, name: &str, table: &str, create: &str) -> Result<(), Error> {
    match is_valid(client, name, table).await? {
        Some(true) => return Ok(()),
        Some(false) => client.batch_execute(&format!("drop index concurrently public.{name}")).await?,
        None => {}
    }
    client.batch_execute(create).await
}

/// Whether the table has such an index by whatever name.
async fn has_alike(client: &Client, wanted: &IndexWanted) -> Result<bool, Error> {
    let sql = "select pg_get_indexdef(indexrelid) from pg_index where indrelid = $1::text::regclass and indisvalid";
    let rows = client.query(sql, &[&wanted.table]).await?;
    Ok(rows.iter().any(|row| is_alike(row.get(0), wanted)))
}

/// Whether the catalogue's `definition` is of an index as it is wanted, whatever its name.
pub(super) fn is_alike(definition: &str, wanted: &IndexWanted) -> bool {
    let (head, on) = definition.split_once(" USING ").unwrap_or_default();
    head.starts_with("CREATE UNIQUE ") == wanted.is_unique
        && plain(on) == plain(&format!("btree {}", wanted.definition))
}

async fn is_valid(client: &Client, name: &str, table: &str) -> Result<Option<bool>, Error> {
    let sql = "select i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid
        where c.relname = $1 and i.indrelid = $2::text::regclass";
    Ok(client.query_opt(sql, &[&name, &table]).await?.map(|row| row.get(0)))
}

async fn is_partitioned(client: &Client, table: &str) -> Result<bool, Error> {
    let sql = "select relkind = 'p' from pg_class where oid = $1::text::regclass";
    Ok(client.query_one(sql, &[&table]).await?.get(0))
}

pub(super) async fn partitions(client: &Client, table: &str) -> Result<Vec<String>, Error> {
    let sql = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = $1::text::regclass order by 1";
    Ok(client.query(sql, &[&table]).await?.iter().map(|row| row.get(0)).collect())
}

impl IndexWanted {
    fn create(&self, name: &str, table: &str) -> String {
        let unique = if self.is_unique { "unique " } else { "" };
        format!("create {unique}index concurrently {name} on public.{table} {}", self.definition)
    }

    fn constrain(&self) -> String {
        format!("alter table public.{} add constraint {} unique using index {1}", self.table, self.name)
    }

    fn on_parent(&self) -> String {
        let unique = if self.is_unique { "unique " } else { "" };
        format!("create {unique}index if not exists {} on only public.{} {}", self.name, self.table, self.definition)
    }

    fn attach(&self, name: &str) -> String {
        format!("alter index public.{} attach partition public.{name}", self.name)
    }

    /// `appointments_by_staff` is `appointments_202406_by_staff` there.
    pub(super) fn name_on(&self, partition: &str) -> String {
        format!("{partition}{}", self.name.strip_prefix(&self.table).unwrap_or(&format!("_{}", self.name)))
    }

    /// All that [`build`] would do, in order; each statement outside of a transaction.
    pub(super) fn script(&self, partitions: &[String]) -> Vec<String> {
        if partitions.is_empty() {
            let build = self.create(&self.name, &self.table);
            return if self.is_constraint { vec![build, self.constrain()] } else { vec![build] };
        }
        let names: Vec<(String, &String)> = partitions.iter().map(|one| (self.name_on(one), one)).collect();
        let builds = names.iter().map(|(name, partition)| self.create(name, partition));
        let attaches = names.iter().map(|(name, _)| self.attach(name));
        std::iter::once(self.on_parent()).chain(builds).chain(attaches).collect()
    }
}
