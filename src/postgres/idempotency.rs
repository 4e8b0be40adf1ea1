use codeccloud_actors::ids::{CommandId, CustomerId, TenantId};
use codeccloud_actors::ports::{IdempotencyStore, StoreError, StoredAnswer};
use futures_util::future::BoxFuture;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{ConnectionPool, PooledClient, away, described};

/// All of the tenant's writers queue behind whoever waits for this lock.
const WAIT: &str = "SET LOCAL lock_timeout = '2s'";
const SETTLE: &str = "SELECT app_private.settle_appends($1)";

pub struct PostgresIdempotency {
    pool: ConnectionPool,
}

impl PostgresIdempotency {
    /// `pool` is of readers.
    pub fn new(pool: ConnectionPool) -> PostgresIdempotency {
        PostgresIdempotency { pool }
    }

    async fn settled(&self, tenant_id: TenantId, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        let mut client = self.pool.get().await.map_err(away)?;
        // Appends hold this lock while they run, so one whose connection is gone has ended when we get it. A transaction
        // of its own, because the next statement must see what that append committed.
        let unfinished = client.unfinished();
        let settling = async {
            let transaction = client.transaction().await?;
            transaction.batch_execute(WAIT).await?;
            transaction.query_typed(SETTLE, &[(&tenant_id.0, Type::UUID)]).await?;
            transaction.commit().await
        };
        unfinished.watched(settling).await.map_err(|error| away(described(&error)))?;
        look_up(&client, tenant_id, key).await
    }

    async fn known(&self, tenant_id: TenantId, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        let client = self.pool.get().await.map_err(away)?;
        look_up(&client, tenant_id, key).await
    }
}

async fn look_up(client: &PooledClient, tenant_id: TenantId, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
    let sql = "SELECT command_id, request_hash, status, answer, sealed_for, \
               pg_snapshot_xmax(pg_current_snapshot())::text FROM idempotency_keys WHERE tenant_id = $1 AND key = $2";
    let rows = client.query_typed(sql, &[(&tenant_id.0, Type::UUID), (&key, Type::TEXT)]).await.map_err(away)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let request_hash = row.get::<_, &[u8]>(1).try_into().map_err(|_| away("a request hash of another length"))?;
    Ok(Some(StoredAnswer {
        command_id: CommandId(row.get(0)),
        request_hash,
        status: u16::try_from(row.get::<_, i16>(2)).map_err(away)?,
        answer: row.get::<_, Vec<u8>>(3).into(),
        sealed_for: row.get::<_, Option<Uuid>>(4).map(CustomerId),
        // What the statement sees was committed by a transaction below this number.
        transaction_id: row.get::<_, &str>(5).parse::<u64>().map_err(away)? - 1,
    }))
}

impl IdempotencyStore for PostgresIdempotency {
    fn find<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(self.settled(tenant_id, key))
    }

    fn committed<'a>(
        &'a self,
        tenant_id: TenantId,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(self.known(tenant_id, key))
    }
}
