//! Dual write: the rows that go with a batch's events, in its transaction.

use std::sync::LazyLock;

use codeccloud_actors::ports::Append;
use tokio_postgres::types::{ToSql, Type};

use super::batch::Batch;
use super::columns::Columns;
use crate::postgres::row_writer::{self, RowColumns};

/// What comes in front of the rows: the tenants and the metadata of the batch.
const BEFORE: usize = 2;

pub(super) static STATEMENT: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT app_private.write_rows_of_append($1,$2,{})", row_writer::placeholders(BEFORE + 1))
});

pub(super) struct Rows<'a>(RowColumns<'a>);

impl<'a> Rows<'a> {
    pub fn of(appends: &[&'a Append], batch: &Batch) -> Rows<'a> {
        let mut columns = RowColumns::default();
        for (number, index) in (1..).zip(&batch.taken) {
            let append = appends[*index];
            columns.add(append.tenant_id, &append.rows, number);
        }
        Rows(columns)
    }

    /// `None` where no rows go with the batch.
    pub fn arguments<'b>(&'b self, columns: &'b Columns<'_>) -> Option<Vec<(&'b (dyn ToSql + Sync), Type)>> {
        if self.0.is_empty() {
            return None;
        }
        let before = columns.tenants_and_metadata().into_iter().zip([Type::UUID_ARRAY, Type::JSONB_ARRAY]);
        Some(before.chain(self.0.params()).collect())
    }
}
