use bytes::Bytes;
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::StoreError;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::outbox::webhooks::{EndpointStore, Target};
use crate::postgres::{ConnectionPool, away, described};
use crate::vault::SealedSecret;

/// Endpoints as the outbox calls them. The pool's connections have the role `codeccloud_outbox`.
pub struct PostgresEndpoints {
    pool: ConnectionPool,
}

const TARGET: &str = "
    SELECT url, is_active, secret, secret_key_id,
        CASE WHEN previous_secret_until > now() THEN previous_secret END, previous_secret_key_id
    FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2";

const SWITCH_OFF: &str = "
    UPDATE webhook_endpoints SET is_active = false, off_reason = $3, version = version + 1, updated_at = now()
    WHERE tenant_id = $1 AND id = $2 AND url = $4 AND is_active RETURNING id";

impl PostgresEndpoints {
    pub fn new(pool: ConnectionPool) -> PostgresEndpoints {
        PostgresEndpoints { pool }
    }

    async fn query(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, StoreError> {
        let client = self.pool.get().await.map_err(away)?;
        client.query_typed(sql, parameters).await.map_err(|error| away(described(&error)))
    }
}

impl EndpointStore for PostgresEndpoints {
    fn target(&self, tenant_id: TenantId, id: Uuid) -> BoxFuture<'_, Result<Option<Target>, StoreError>> {
        async move {
            let rows = self.query(TARGET, &[(&tenant_id.0, Type::UUID), (&id, Type::UUID)]).await?;
            Ok(rows.first().map(target))
        }
        .boxed()
    }

    fn switch_off<'a>(
        &'a self,
        tenant_id: TenantId,
        id: Uuid,
        url: &'a str,
        reason: &'static str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        async move {
            let parameters: [(&(dyn ToSql + Sync), Type); 4] =
                [(&tenant_id.0, Type::UUID), (&id, Type::UUID), (&reason, Type::TEXT), (&url, Type::TEXT)];
            Ok(!self.query(SWITCH_OFF, &parameters).await?.is_empty())
        }
        .boxed()
    }
}

fn target(row: &Row) -> Target {
    let sealed = |ciphertext: &[u8], key: usize| SealedSecret {
        ciphertext: Bytes::copy_from_slice(ciphertext),
        master_key_id: row.get(key),
    };
    let previous: Option<&[u8]> = row.get(4);
    let secrets = std::iter::once(sealed(row.get(2), 3)).chain(previous.map(|previous| sealed(previous, 5)));
    Target { url: row.get(0), is_on: row.get(1), secrets: secrets.collect() }
}
