//! Brings our additions into a database that an existing deployment runs, beside its data and while it is in use.
//!
//! It is compared with the description first ([`survey`]). Then the migrations are applied step by step ([`adopt`]): 0001 by
//! its own form, `0001_mvp.adopt.sql`, the later ones by their way up, with indexes on tables of the MVP built concurrently.

pub(super) mod steps;

mod administrator;
mod concurrent;
mod differences;
mod expected;
mod forms;
mod locks;
mod money;
mod report;
mod script;
mod statements;

use tokio_postgres::{Client, Error};

pub use differences::{Difference, Grade};
pub use report::{AdoptionReport, Counted, Example, Found, RowReport};

use super::schema::{self, Applied, SchemaError};

/// What a database is, seen by who would adopt it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// None of the MVP's tables is there.
    NoMvp,
    /// Our own migrations have made it.
    Ours,
    /// An MVP that nobody has begun to adopt.
    Mvp,
    /// Adoption was interrupted, or the binary is newer than the one that adopted.
    Begun,
    Adopted,
}

#[derive(Debug)]
pub struct Survey {
    pub standing: Standing,
    pub differences: Vec<Difference>,
}

impl Survey {
    pub fn is_refused(&self) -> bool {
        match self.standing {
            Standing::NoMvp | Standing::Ours => true,
            Standing::Mvp | Standing::Begun => self.differences.iter().any(|one| one.grade == Grade::Refuses),
            Standing::Adopted => false,
        }
    }

    /// Then there is nothing to plan with.
    pub fn lacks_tables(&self) -> bool {
        self.differences.iter().any(|one| one.text == differences::MISSING_TABLE)
    }
}

/// Changes nothing.
pub async fn survey(client: &mut Client) -> Result<Survey, SchemaError> {
    let standing = standing(client).await?;
    let mut differences = match standing {
        Standing::NoMvp | Standing::Ours | Standing::Adopted => Vec::new(),
        Standing::Mvp | Standing::Begun => differences::all(client).await?,
    };
    if standing == Standing::Mvp {
        differences.extend(differences::names_taken(client).await?);
    }
    if matches!(standing, Standing::Mvp | Standing::Begun) {
        differences.extend(administrator::needed(client).await?);
    }
    differences.sort();
    differences.reverse();
    Ok(Survey { standing, differences })
}

async fn standing(client: &mut Client) -> Result<Standing, SchemaError> {
    schema::refuse_other_version(client).await?;
    schema::refuse_foreign_list(client).await?;
    let exists = "select to_regclass('public.tenants') is not null and to_regclass('public.appointments') is not null";
    let exists: bool = client.query_one(exists, &[]).await?.get(0);
    let status = schema::status(client).await?;
    let is_begun = has_progress(client).await? || status[0].is_adopted;
    Ok(match (exists, is_begun, status[0].applied_at) {
        (false, ..) => Standing::NoMvp,
        (true, true, _) if status.iter().all(|migration| migration.applied_at.is_some()) => Standing::Adopted,
        (true, true, _) => Standing::Begun,
        (true, false, Some(_)) => Standing::Ours,
        (true, false, None) => Standing::Mvp,
    })
}

async fn has_progress(client: &Client) -> Result<bool, Error> {
    let exists = "select to_regclass('app_private.schema_migrations_progress') is not null";
    if !client.query_one(exists, &[]).await?.get::<_, bool>(0) {
        return Ok(false);
    }
    let first = "select exists (select from app_private.schema_migrations_progress where number = 1)";
    Ok(client.query_one(first, &[]).await?.get(0))
}

/// Where the tables are otherwise than the MVP's description has them.
pub async fn differences(client: &Client) -> Result<Vec<Difference>, Error> {
    differences::all(client).await
}

/// The MVP's.
pub fn tables() -> impl Iterator<Item = &'static str> {
    expected::TABLES.iter().map(|table| table.name)
}

/// What adoption adds to them, as `kind name on table`, sorted.
pub fn names_added() -> &'static [&'static str] {
    differences::ADDED
}

/// Builds the index that a statement asks for, `create index …` on a table of the MVP or a unique constraint there, while
/// others write to it.
pub async fn build_index(client: &mut Client, statement: &str) -> Result<(), Error> {
    let index = statements::IndexWanted::of(statement).expect("the statement makes an index on a table of the MVP");
    steps::build(client, &index).await
}

/// Applies what is missing. The caller has surveyed the database and found nothing that refuses.
pub async fn adopt(client: &mut Client, tell: impl FnMut(Applied)) -> Result<Vec<Applied>, SchemaError> {
    schema::create_list(client).await?;
    let applied = steps::apply_all(client, tell).await?;
    count_totals(client).await?;
    Ok(applied)
}

/// Counts what is left to count of earlier bookings, after an adoption that was interrupted.
pub async fn count_totals(client: &mut Client) -> Result<(), SchemaError> {
    steps::count_totals(client).await.map_err(SchemaError::Totals)
}

/// Of the rows too, where the login may see them all as it is.
pub async fn report_without_changes(client: &Client) -> Result<AdoptionReport, Error> {
    report::without_changes(client).await
}

/// Of all rows. Where row security hides them from the login, policies let it see them meanwhile. `missing_months` are those
/// of before, where adoption has made them. Once it is shown, [`note_report_given`].
pub async fn report(client: &mut Client, missing_months: Option<Vec<String>>) -> Result<AdoptionReport, Error> {
    let report = report::in_full(client).await?;
    Ok(AdoptionReport { missing_months: missing_months.unwrap_or(report.missing_months), ..report })
}

/// False after a run that ended before its report was shown.
pub async fn is_report_given(client: &mut Client) -> Result<bool, Error> {
    schema::create_list(client).await?;
    report::is_given(client).await
}

pub async fn note_report_given(client: &Client) -> Result<(), Error> {
    report::note_given(client).await
}

/// Rows that the server could not work with. Before adoption has begun, and the one thing that is changed for it is who may
/// look, where row security hides the rows from the login; a dry run does not even do that.
pub async fn rows_in_the_way(client: &mut Client, dry_run: bool) -> Result<Vec<Difference>, Error> {
    money::in_unknown_currencies(client, dry_run).await
}

pub async fn missing_months(client: &Client) -> Result<Vec<String>, Error> {
    report::missing_months(client).await
}

/// All that [`adopt`] would run, and what an administrator would have to run before.
pub async fn script(client: &mut Client) -> Result<String, SchemaError> {
    script::of(client).await
}
