//! A command's transaction: what is sent, and in how few goes.

use std::sync::LazyLock;

use codeccloud_actors::aggregates::loyalty_balance::LoyaltyBalance;
use codeccloud_actors::aggregates::staff_utilisation::Calendar;
use codeccloud_actors::aggregates::stock_item::StockItem;
use codeccloud_actors::envelope::{Caller, Role};
use codeccloud_actors::ids::{BookingId, CommandId, CustomerId, ProductId, StaffId, TenantId, Version};
use codeccloud_actors::ports::{IdempotencyRecord, SealedRow};
use codeccloud_actors::rows::RowChange;
use codeccloud_actors::runtime::{ExecutionError, Submission};
use codeccloud_actors::stage::Stage;
use codeccloud_actors::time::Slot;
use futures_util::future::{OptionFuture, join, join3};
use serde_json::value::RawValue;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use super::refused::Refused;
use super::rows::{self, APPOINTMENT, Appointment, STOCK};
use crate::postgres::pooled::PooledClient;
use crate::postgres::row_writer::{self, RowColumns};
use crate::postgres::types::{PgMicros, PgTime};
use crate::postgres::{described, is_broken_rule};

type Argument<'a> = (&'a (dyn ToSql + Sync), Type);

const ENTER: &str = "SELECT app_private.enter($1, $2, $3)";
const LOCK_STAFF: &str = "SELECT app_private.lock_staff($1, $2, $3, $4, $5)";
const BUSY: &str = "SELECT * FROM app_private.busy_slots($1, $2, $3)";
const LOCK_ACCOUNT: &str = "SELECT app_private.lock_account($1)";
const ACCOUNT: &str =
    "SELECT version, state FROM loyalty_accounts WHERE tenant_id = $1 AND customer_id = $2 FOR UPDATE";
const LOCK_STOCK: &str = "SELECT app_private.lock_stock($1)";
const SETTLE: &str = "SELECT app_private.settle($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)::text";

static LOCK_APPOINTMENT: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {APPOINTMENT} FROM appointments WHERE tenant_id = $1 AND slot_start = $2 AND id = $3 FOR UPDATE")
});
static WRITE: LazyLock<String> =
    LazyLock::new(|| format!("SELECT app_private.write_rows(NULL,{})", row_writer::placeholders(1)));

/// Its statements run on a connection with the caller's role. Whoever drops it before its end closes the connection.
pub(super) struct CommandTransaction<'a> {
    client: &'a PooledClient,
    tenant_id: TenantId,
}

impl<'a> CommandTransaction<'a> {
    pub fn new(client: &'a PooledClient, tenant_id: TenantId) -> CommandTransaction<'a> {
        CommandTransaction { client, tenant_id }
    }

    /// Begins on the caller's behalf. The stage stays what it is found to be for as long as the transaction lasts.
    pub async fn enter(&self, submission: &Submission) -> Result<(), Refused> {
        let claims = claims(self.tenant_id, submission.context.caller);
        let context = context(&submission.metadata);
        let arguments: [Argument<'_>; 3] =
            [(&self.tenant_id.0, Type::UUID), (&claims, Type::TEXT), (&context, Type::TEXT)];
        let (begun, entered) =
            join(self.as_it_is(&self.client.opening()), self.client.query_in_flight(ENTER, &arguments)).await;
        begun?;
        let rows = entered?;
        let stage = rows.first().map(|row| row.get(0)).and_then(Stage::parse);
        if stage.is_some_and(|stage| !stage.is_event_sourced()) {
            Ok(())
        } else {
            Err(ExecutionError::StageEnded.into())
        }
    }

    /// Locked. `None` when it isn't at `at`, or the caller may not see it.
    pub async fn appointment(&self, id: BookingId, at: PgMicros) -> Result<Option<Appointment>, Refused> {
        let arguments: [Argument<'_>; 3] =
            [(&self.tenant_id.0, Type::UUID), (&at, Type::TIMESTAMPTZ), (&id.0, Type::UUID)];
        let rows = self.client.query_in_flight(&LOCK_APPOINTMENT, &arguments).await?;
        let read = rows.first().map(rows::appointment).transpose();
        read.map_err(|unreadable| ExecutionError::Internal(unreadable.to_string()).into())
    }

    /// What surrounds the slot that is asked for. Nobody else decides on the person's time until the transaction ends, unless
    /// the slot is taken already.
    pub async fn calendar(&self, asked: &Asked) -> Result<Surroundings, Refused> {
        let staff = [asked.staff_id.0];
        let lock: [Argument<'_>; 5] = [
            (&asked.staff_id.0, Type::UUID),
            (&PgTime(asked.slot.start), Type::TIMESTAMPTZ),
            (&PgTime(asked.slot.end), Type::TIMESTAMPTZ),
            (&asked.booking_id.0, Type::UUID),
            (&asked.locks_anyway, Type::BOOL),
        ];
        let around: [Argument<'_>; 3] = [
            (&staff.as_slice(), Type::UUID_ARRAY),
            (&PgTime(asked.occupied.start), Type::TIMESTAMPTZ),
            (&PgTime(asked.occupied.end), Type::TIMESTAMPTZ),
        ];
        let (locked, busy) =
            join(self.client.query_in_flight(LOCK_STAFF, &lock), self.client.query_in_flight(BUSY, &around)).await;
        let is_locked = locked?.first().is_some_and(|row| row.get(0));
        let reservations =
            busy?.iter().filter_map(rows::reservation).map(|(_, reservation)| reservation).collect::<Vec<_>>();
        Ok(Surroundings { calendar: Calendar::of(reservations), is_locked })
    }

    pub async fn balance(&self, customer_id: CustomerId) -> Result<(Version, LoyaltyBalance), Refused> {
        let lock: [Argument<'_>; 1] = [(&customer_id.0, Type::UUID)];
        let arguments: [Argument<'_>; 2] = [(&self.tenant_id.0, Type::UUID), (&customer_id.0, Type::UUID)];
        let (locked, rows) =
            join(self.client.query_in_flight(LOCK_ACCOUNT, &lock), self.client.query_in_flight(ACCOUNT, &arguments))
                .await;
        locked?;
        let read = rows?.first().map(rows::balance).transpose();
        let read = read.map_err(|error| ExecutionError::Internal(format!("account {customer_id}: {error}")))?;
        Ok(read.unwrap_or_default())
    }

    /// Nobody else decides on the item until the transaction ends. Other software may still move it: the row writer refuses
    /// what is no longer there.
    pub async fn stock(&self, product_id: ProductId) -> Result<(Version, StockItem), Refused> {
        let lock: [Argument<'_>; 1] = [(&product_id.0, Type::UUID)];
        let asked = [product_id.0];
        let arguments: [Argument<'_>; 2] = [(&self.tenant_id.0, Type::UUID), (&asked.as_slice(), Type::UUID_ARRAY)];
        let (locked, rows) =
            join(self.client.query_in_flight(LOCK_STOCK, &lock), self.client.query_in_flight(STOCK, &arguments)).await;
        locked?;
        let rows = rows?;
        let read = rows::stock_item(rows.first().expect("a row for each product"));
        let (_, version, item) =
            read.map_err(|error| ExecutionError::Internal(format!("stock of {product_id}: {error}")))?;
        Ok((version, item))
    }

    /// Writes and commits in one go, and returns the transaction's id. The tenant's row, for which all of the tenant's
    /// writers wait, is locked by the last statement before the commit.
    pub async fn commit(self, command_id: CommandId, settlement: &Settlement<'_>) -> Result<u64, Refused> {
        let mut columns = RowColumns::default();
        columns.add(self.tenant_id, settlement.rows, 1);
        if let Some(at) = settlement.found_at {
            columns.stand_at(at);
        }
        let rows = columns.params();
        let writing = (!columns.is_empty()).then(|| self.client.query_in_flight(&WRITE, &rows));
        let (settled, written, committed) = {
            let settled = self.settle(command_id, settlement);
            join3(settled, OptionFuture::from(writing), self.as_it_is("COMMIT")).await
        };
        // The commit is on its way with them: where an answer is lost, so is its own.
        let transaction_id = settled.map_err(answer_or_lost)?;
        written.transpose().map_err(answer_or_lost)?;
        committed.map_err(deferred_or_lost)?;
        Ok(transaction_id)
    }

    async fn settle(&self, command_id: CommandId, settlement: &Settlement<'_>) -> Result<u64, tokio_postgres::Error> {
        let record = settlement.record;
        let customer = settlement.sealed.iter().find_map(|row| match row {
            SealedRow::Customer(customer) => Some(customer),
            SealedRow::Note(_) => None,
        });
        let note = settlement.sealed.iter().find_map(|row| match row {
            SealedRow::Note(note) => Some(note),
            SealedRow::Customer(_) => None,
        });
        let arguments: [Argument<'_>; 16] = [
            (&record.map(|r| r.key.as_str()), Type::TEXT),
            (&command_id.0, Type::UUID),
            (&record.map(|r| r.request_hash.as_slice()), Type::BYTEA),
            (&record.map(|r| i16::try_from(r.status).expect("statuses have three digits")), Type::INT2),
            (&record.map(|r| &r.answer[..]), Type::BYTEA),
            (&record.and_then(|r| r.sealed_for).map(|id| id.0), Type::UUID),
            (&customer.map(|c| c.customer_id.0), Type::UUID),
            (&customer.map(|c| c.revision), Type::INT4),
            (&customer.map(|c| &c.wrapped_key[..]), Type::BYTEA),
            (&customer.map(|c| c.master_key_id.as_str()), Type::TEXT),
            (&customer.map(|c| &c.profile[..]), Type::BYTEA),
            (&customer.map(|c| &c.email_lookup[..]), Type::BYTEA),
            (&note.map(|n| n.customer_id.0), Type::UUID),
            (&note.map(|n| n.booking_id.0), Type::UUID),
            (&note.map(|n| n.kind), Type::TEXT),
            (&note.map(|n| &n.ciphertext[..]), Type::BYTEA),
        ];
        let rows = self.client.query_in_flight(SETTLE, &arguments).await?;
        let id: &str = rows.first().expect("a function returns a row").get(0);
        Ok(id.parse().expect("Postgres writes an xid8 as a number"))
    }

    /// Not by way of the pooled client, which makes a transaction of each statement where there is a pooler.
    async fn as_it_is(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        Client::batch_execute(self.client, sql).await
    }

    /// Takes everything back. A connection on which not even that works is not used again.
    pub async fn give_up(self) {
        if let Err(error) = self.as_it_is("ROLLBACK").await {
            tracing::debug!(%error, "a transaction could not be rolled back");
        }
    }
}

/// What the database answers stands; without an answer, the commit behind the statement may have been carried out.
fn answer_or_lost(error: tokio_postgres::Error) -> Refused {
    let is_answer = error.as_db_error().is_some_and(|db| !db.code().code().starts_with("08"));
    if is_answer { error.into() } else { lost(&error) }
}

/// What was put off until the commit and fails there takes the transaction back. After anything else it may have gone through.
fn deferred_or_lost(error: tokio_postgres::Error) -> Refused {
    let is_deferred = error.code().is_some_and(|code| is_broken_rule(code) || *code == SqlState::UNIQUE_VIOLATION);
    if is_deferred { error.into() } else { lost(&error) }
}

/// Anything may have become of it: whoever has the key finds out.
fn lost(error: &tokio_postgres::Error) -> Refused {
    ExecutionError::Unknown(described(error)).into()
}

/// A slot of a person that somebody wants.
pub(super) struct Asked {
    pub staff_id: StaffId,
    pub booking_id: BookingId,
    pub slot: Slot,
    /// With the service's own buffers around it: those of its neighbours are in their rows.
    pub occupied: Slot,
    pub locks_anyway: bool,
}

pub(super) struct Surroundings {
    pub calendar: Calendar,
    /// Whether it stays so until the transaction ends.
    pub is_locked: bool,
}

/// What a decided command leaves behind.
pub(super) struct Settlement<'a> {
    pub record: Option<&'a IdempotencyRecord>,
    pub sealed: &'a [SealedRow],
    pub rows: &'a [RowChange],
    /// Where the appointment was found that the command is about.
    pub found_at: Option<PgMicros>,
}

/// The role in the claims is the database's, as on hosted platforms: what the caller is in the salon, its policies find out.
pub(super) fn claims(tenant_id: TenantId, caller: Caller) -> String {
    let role = match caller.role {
        Role::Owner | Role::Manager | Role::Staff => "authenticated",
        Role::Service | Role::Operator => "service",
        Role::Customer => "customer",
    };
    serde_json::json!({ "sub": caller.user_id, "role": role, "tenant_id": tenant_id }).to_string()
}

/// What audit entries say of the request, of what an event's metadata says.
fn context(metadata: &[u8]) -> String {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct Context<'a> {
        #[serde(borrow)]
        source: &'a RawValue,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        ip: Option<&'a RawValue>,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        request_id: Option<&'a RawValue>,
    }
    let context = serde_json::from_slice(metadata).and_then(|context: Context<'_>| serde_json::to_string(&context));
    context.expect("metadata is JSON with a source")
}
