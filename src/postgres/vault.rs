use std::time::Duration;

use bytes::Bytes;
use codeccloud_actors::ids::{BookingId, CustomerId, TenantId};
use codeccloud_actors::ports::{SealedCustomer, SealedNote};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Row;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::{ConnectionPool, PooledClient};
use crate::vault::{CustomerRef, NoteKind, Unreachable, VaultStore};

/// Finding a connection and running one short statement on it.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How many customers a rotation changes at once: a few commits' worth, so that they share the disk's.
const REWRAP_ROWS: i64 = 32;

/// Keeps the vault in `vault_customers` and `vault_notes`. The pool's connections have the role `codeccloud_vault`.
pub struct PostgresVault {
    pool: ConnectionPool,
}

impl PostgresVault {
    pub fn new(pool: ConnectionPool) -> PostgresVault {
        PostgresVault { pool }
    }

    /// A function that declares its tenants itself.
    async fn call(
        &self,
        statement: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Unreachable> {
        let answer = async {
            let connection = self.pool.get().await.map_err(|error| Unreachable(error.to_string()))?;
            connection.query_prepared(statement, parameters).await.map_err(unreachable)
        };
        tokio::time::timeout(ANSWER_MAX, answer).await.unwrap_or_else(|_| Err(Unreachable("no answer in time".into())))
    }

    /// One statement in a transaction that has declared its tenants.
    async fn run(
        &self,
        tenants: &[TenantId],
        statement: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Unreachable> {
        let declared = format!("{{{}}}", Vec::from_iter(tenants.iter().map(TenantId::to_string)).join(","));
        let answer = async {
            let connection = self.pool.get().await.map_err(|error| Unreachable(error.to_string()))?;
            let declare = "SELECT set_config('codeccloud.tenant_ids', $1, true)";
            let declaring = (declare, &[(&declared as &(dyn ToSql + Sync), Type::TEXT)][..]);
            connection.query_after(declaring, (statement, parameters)).await.map_err(unreachable)
        };
        tokio::time::timeout(ANSWER_MAX, answer).await.unwrap_or_else(|_| Err(Unreachable("no answer in time".into())))
    }
}

impl VaultStore for PostgresVault {
    fn load_customers<'a>(
        &'a self,
        customers: &'a [CustomerRef],
    ) -> BoxFuture<'a, Result<Vec<(CustomerRef, SealedCustomer)>, Unreachable>> {
        async move {
            let mut tenants = Vec::from_iter(customers.iter().map(|customer| customer.tenant_id.0));
            tenants.dedup();
            let tenant_ids = Vec::from_iter(customers.iter().map(|customer| customer.tenant_id.0));
            let customer_ids = Vec::from_iter(customers.iter().map(|customer| customer.customer_id.0));
            let arrays: [(&(dyn ToSql + Sync), Type); 3] =
                [(&tenants, Type::UUID_ARRAY), (&tenant_ids, Type::UUID_ARRAY), (&customer_ids, Type::UUID_ARRAY)];
            let rows = self.call("SELECT * FROM app_private.load_customers($1, $2, $3)", &arrays).await?;
            rows.iter()
                .map(|row| {
                    let customer = sealed_customer(row)?;
                    let tenant_id = TenantId(row.try_get("tenant_id").map_err(unreachable)?);
                    Ok((CustomerRef { tenant_id, customer_id: customer.customer_id }, customer))
                })
                .collect()
        }
        .boxed()
    }

    fn load_notes<'a>(
        &'a self,
        tenant_id: TenantId,
        bookings: &'a [BookingId],
    ) -> BoxFuture<'a, Result<Vec<SealedNote>, Unreachable>> {
        async move {
            let bookings = Vec::from_iter(bookings.iter().map(|booking| booking.0));
            let statement = "
                SELECT customer_id, booking_id, kind, ciphertext
                FROM vault_notes
                WHERE tenant_id = $1 AND booking_id = ANY ($2)";
            let rows =
                self.run(&[tenant_id], statement, &[(&tenant_id.0, Type::UUID), (&bookings, Type::UUID_ARRAY)]).await?;
            rows.iter().map(sealed_note).collect()
        }
        .boxed()
    }

    fn update_customer(&self, tenant_id: TenantId, row: SealedCustomer) -> BoxFuture<'_, Result<bool, Unreachable>> {
        async move {
            let statement = "
                UPDATE vault_customers
                SET wrapped_key = $4, master_key_id = $5, profile = $6, email_lookup = $7,
                    revision = revision + 1, updated_at = now()
                WHERE tenant_id = $1 AND customer_id = $2 AND revision = $3
                RETURNING revision";
            let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
                (&tenant_id.0, Type::UUID),
                (&row.customer_id.0, Type::UUID),
                (&row.revision, Type::INT4),
                (&&row.wrapped_key[..], Type::BYTEA),
                (&row.master_key_id, Type::TEXT),
                (&&row.profile[..], Type::BYTEA),
                (&&row.email_lookup[..], Type::BYTEA),
            ];
            Ok(!self.run(&[tenant_id], statement, &parameters).await?.is_empty())
        }
        .boxed()
    }

    fn find_by_email<'a>(
        &'a self,
        tenant_id: TenantId,
        lookups: &'a [Bytes],
    ) -> BoxFuture<'a, Result<Vec<CustomerId>, Unreachable>> {
        async move {
            let lookups = Vec::from_iter(lookups.iter().map(|lookup| &lookup[..]));
            let statement = "
                SELECT customer_id FROM vault_customers
                WHERE tenant_id = $1 AND email_lookup = ANY ($2)
                ORDER BY created_at, customer_id";
            let rows =
                self.run(&[tenant_id], statement, &[(&tenant_id.0, Type::UUID), (&lookups, Type::BYTEA_ARRAY)]).await?;
            rows.iter().map(|row| row.try_get("customer_id").map(CustomerId).map_err(unreachable)).collect()
        }
        .boxed()
    }

    fn customers_not_under<'a>(
        &'a self,
        tenant_id: TenantId,
        master_key_id: &'a str,
    ) -> BoxFuture<'a, Result<Vec<SealedCustomer>, Unreachable>> {
        async move {
            let statement = "
                SELECT customer_id, revision, wrapped_key, master_key_id, profile, email_lookup
                FROM vault_customers
                WHERE tenant_id = $1 AND master_key_id <> $2
                LIMIT $3";
            let parameters: [(&(dyn ToSql + Sync), Type); 3] =
                [(&tenant_id.0, Type::UUID), (&master_key_id, Type::TEXT), (&REWRAP_ROWS, Type::INT8)];
            self.run(&[tenant_id], statement, &parameters).await?.iter().map(sealed_customer).collect()
        }
        .boxed()
    }
}

/// The tenants with customers whose key is wrapped by another master key than this one, deleted tenants included, and how
/// many such customers there are. `reader` has the role that sees the vault of all tenants.
pub async fn vault_tenants_not_under(
    reader: &PooledClient,
    master_key_id: &str,
) -> Result<(Vec<TenantId>, i64), tokio_postgres::Error> {
    let statement = "SELECT tenant_id, count(*) FROM vault_customers WHERE master_key_id <> $1 GROUP BY tenant_id";
    let rows = reader.query(statement, &[&master_key_id]).await?;
    Ok((rows.iter().map(|row| TenantId(row.get(0))).collect(), rows.iter().map(|row| row.get::<_, i64>(1)).sum()))
}

fn sealed_customer(row: &Row) -> Result<SealedCustomer, Unreachable> {
    let read = || {
        Ok(SealedCustomer {
            customer_id: CustomerId(row.try_get::<_, Uuid>("customer_id")?),
            revision: row.try_get("revision")?,
            wrapped_key: bytes(row, "wrapped_key")?,
            master_key_id: row.try_get("master_key_id")?,
            profile: bytes(row, "profile")?,
            email_lookup: bytes(row, "email_lookup")?,
        })
    };
    read().map_err(unreachable)
}

fn sealed_note(row: &Row) -> Result<SealedNote, Unreachable> {
    let kind: &str = row.try_get("kind").map_err(unreachable)?;
    let kind = NoteKind::parse(kind).ok_or_else(|| Unreachable(format!("unknown kind of note: {kind}")))?;
    let read = || {
        Ok(SealedNote {
            customer_id: CustomerId(row.try_get::<_, Uuid>("customer_id")?),
            booking_id: BookingId(row.try_get::<_, Uuid>("booking_id")?),
            kind: kind.as_str(),
            ciphertext: bytes(row, "ciphertext")?,
        })
    };
    read().map_err(unreachable)
}

fn bytes(row: &Row, column: &str) -> Result<Bytes, tokio_postgres::Error> {
    row.try_get::<_, &[u8]>(column).map(Bytes::copy_from_slice)
}

/// Whether a note was refused because its customer was erased since it was sealed.
pub(super) fn is_erased(error: &DbError) -> bool {
    *error.code() == SqlState::FOREIGN_KEY_VIOLATION && error.table() == Some("vault_notes")
}

/// The server's own words, which `Display` of the client's error leaves out.
fn unreachable(error: tokio_postgres::Error) -> Unreachable {
    Unreachable(error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned()))
}
