use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::TenantId;
use serde_json::json;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::load;
use crate::ports::{IdempotencyKey, Precondition, ReferenceError};
use crate::postgres::pooled::{PooledClient, Unfinished};
use crate::postgres::{described, is_broken_rule};

pub(in crate::postgres) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// A change under way: one transaction of the caller's, whose claims it carries, so that the policies decide what it
/// sees and writes. Dropped, it never was.
pub(in crate::postgres) struct Change<'a> {
    transaction: Transaction<'a>,
    unfinished: Unfinished,
    pub tenant_id: Uuid,
}

impl Change<'_> {
    /// `client` has the role `authenticated`. Who is no member is refused at once: the policies would merely show no rows.
    pub async fn begin(
        client: &mut PooledClient,
        tenant_id: TenantId,
        caller: Caller,
    ) -> Result<Change<'_>, ReferenceError> {
        let unfinished = client.unfinished();
        let transaction = unfinished.watched(client.transaction()).await.map_err(|error| refusal(&error))?;
        let change = Change { transaction, unfinished, tenant_id: tenant_id.0 };
        let claims = json!({ "sub": caller.user_id, "role": "authenticated", "tenant_id": tenant_id }).to_string();
        let context = json!({ "source": "server" }).to_string();
        let declare = "SELECT set_config('request.jwt.claims', $1, true), set_config('request.context', $2, true)";
        change.query(declare, &[(&claims, Type::TEXT), (&context, Type::TEXT)]).await?;
        let member = "SELECT FROM app_private.is_tenant_member($1) member WHERE member";
        if change.query(member, &[(&change.tenant_id, Type::UUID)]).await?.is_empty() {
            return Err(ReferenceError::Forbidden);
        }
        Ok(change)
    }

    /// Takes the key for what is about to be created. `Some` is what was created under it before: nothing is to be done.
    pub async fn claim(
        &self,
        key: Option<IdempotencyKey>,
        command_id: Uuid,
        created: &[Uuid],
    ) -> Result<Option<Vec<Uuid>>, ReferenceError> {
        let Some(IdempotencyKey { key, request_hash }) = key else { return Ok(None) };
        let ids: Vec<String> = created.iter().map(Uuid::to_string).collect();
        let parameters: Parameters<'_> = &[
            (&self.tenant_id, Type::UUID),
            (&key, Type::TEXT),
            (&command_id, Type::UUID),
            (&request_hash.as_slice(), Type::BYTEA),
            (&ids.join(" ").into_bytes(), Type::BYTEA),
        ];
        let sql = "SELECT request_hash, answer FROM app_private.claim_idempotency_key($1, $2, $3, $4, $5) \
                   WHERE request_hash IS NOT NULL";
        let rows = self.query(sql, parameters).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if row.get::<_, &[u8]>(0) != request_hash {
            return Err(ReferenceError::IdempotencyConflict);
        }
        let answer = String::from_utf8_lossy(row.get(1));
        let first: Result<Vec<Uuid>, _> = answer.split(' ').map(Uuid::parse_str).collect();
        // Not ours to read: the key belongs to a request of another kind.
        first.map(Some).map_err(|_| ReferenceError::IdempotencyConflict)
    }

    pub async fn query(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, ReferenceError> {
        self.unfinished.watched(self.transaction.query_typed(sql, parameters)).await.map_err(|error| refusal(&error))
    }

    /// The number of rows that it changed.
    pub async fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, ReferenceError> {
        self.unfinished.watched(self.transaction.execute_typed(sql, parameters)).await.map_err(|error| refusal(&error))
    }

    /// Changes of one person take turns, so that each is checked against what the one before left.
    pub async fn lock_staff_member(&self, id: Uuid) -> Result<(), ReferenceError> {
        let sql = "SELECT FROM staff_profiles WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE";
        self.lock(sql, id, "staff member").await
    }

    pub async fn lock_service(&self, id: Uuid) -> Result<(), ReferenceError> {
        let sql = "SELECT FROM appointment_services WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE";
        self.lock(sql, id, "service").await
    }

    pub async fn lock_product(&self, id: Uuid) -> Result<(), ReferenceError> {
        let sql = "SELECT FROM products WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE";
        self.lock(sql, id, "product").await
    }

    async fn lock(&self, sql: &str, id: Uuid, what: &'static str) -> Result<(), ReferenceError> {
        let rows = self.query(sql, &[(&self.tenant_id, Type::UUID), (&id, Type::UUID)]).await?;
        found(rows.len() as u64, what)
    }

    /// To be called once what is to be changed is locked.
    pub async fn demand(&self, precondition: Option<Precondition>) -> Result<(), ReferenceError> {
        let Some(holds) = precondition else { return Ok(()) };
        let loading = load::as_member(&self.transaction, self.tenant_id);
        let found = self.unfinished.watched(loading).await.map_err(|error| refusal(&error))?;
        let as_seen = found.is_some_and(|reference| holds(&reference));
        if as_seen { Ok(()) } else { Err(ReferenceError::Outdated) }
    }

    pub async fn commit(self) -> Result<(), ReferenceError> {
        self.unfinished.watched(self.transaction.commit()).await.map_err(|error| refusal(&error))
    }
}

pub(in crate::postgres) fn found(rows: u64, what: &'static str) -> Result<(), ReferenceError> {
    if rows == 0 { Err(ReferenceError::NotFound(what)) } else { Ok(()) }
}

fn refusal(error: &tokio_postgres::Error) -> ReferenceError {
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => ReferenceError::Forbidden,
        Some(&SqlState::UNIQUE_VIOLATION) => ReferenceError::Conflict("exists already".to_owned()),
        // All that reference data refers to, besides what the change itself has found before.
        Some(&SqlState::FOREIGN_KEY_VIOLATION) => ReferenceError::NotFound("staff member"),
        // A rule of the deployment's own, or a value that a type does not hold: later it will not be otherwise.
        Some(code) if is_broken_rule(code) || ["22", "23"].iter().any(|class| code.code().starts_with(class)) => {
            tracing::warn!(reason = described(error), "a rule of the database refused a change");
            ReferenceError::Conflict("a rule of the database refuses it".to_owned())
        }
        _ => ReferenceError::Unavailable(described(error)),
    }
}
