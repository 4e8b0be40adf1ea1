use bytes::Bytes;
use codeccloud_actors::ids::TenantId;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::outbox::webhooks::secret_purpose;
use crate::postgres::PooledClient;
use crate::vault::{MasterKeys, SealedSecret};

const NOT_UNDER: &str = "
    SELECT tenant_id, id, secret, secret_key_id, previous_secret, previous_secret_key_id FROM webhook_endpoints
    WHERE secret_key_id <> $1 OR previous_secret_key_id <> $1";

/// Not over a secret that was made meanwhile: that one is under the current key anyway.
const REWRAP: &str = "
    UPDATE webhook_endpoints SET secret = $3, secret_key_id = $4, previous_secret = $5, previous_secret_key_id = $6
    WHERE tenant_id = $1 AND id = $2 AND secret = $7";

/// Brings the secrets of all endpoints under the current master key. Returns how many endpoints it has changed, and how
/// many it can't read. `client` has the role `codeccloud_outbox`.
pub async fn rewrap_webhook_secrets(client: &PooledClient, keys: &MasterKeys) -> Result<(u64, u64), Error> {
    let (mut changed, mut unreadable) = (0, 0);
    for row in &client.query(NOT_UNDER, &[&keys.current_id()]).await? {
        let (tenant_id, id): (Uuid, Uuid) = (row.get(0), row.get(1));
        let purpose = secret_purpose(TenantId(tenant_id), id);
        let resealed = |ciphertext: &[u8], key: usize| resealed(keys, &purpose, row, ciphertext, key);
        let previous: Option<&[u8]> = row.get(4);
        let (Some(secret), Ok(previous)) =
            (resealed(row.get(2), 3), previous.map(|secret| resealed(secret, 5).ok_or(())).transpose())
        else {
            unreadable += 1;
            continue;
        };
        let (previous, previous_key) = previous.map(|sealed| (sealed.ciphertext, sealed.master_key_id)).unzip();
        let (secret_bytes, previous_bytes) = (&*secret.ciphertext, previous.as_deref());
        let before: &[u8] = row.get(2);
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&tenant_id, &id, &secret_bytes, &secret.master_key_id, &previous_bytes, &previous_key, &before];
        changed += client.execute(REWRAP, &values).await?;
    }
    Ok((changed, unreadable))
}

fn resealed(keys: &MasterKeys, purpose: &[u8], row: &Row, ciphertext: &[u8], key: usize) -> Option<SealedSecret> {
    let sealed = SealedSecret { ciphertext: Bytes::copy_from_slice(ciphertext), master_key_id: row.get(key) };
    Some(keys.seal_secret(purpose, &keys.open_secret(purpose, &sealed)?))
}
