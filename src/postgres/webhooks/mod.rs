//! Endpoints of webhooks: members manage them under their own policies, the outbox calls those of all tenants.

mod endpoints;
mod rotation;
mod rows;

use std::sync::Arc;

use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::{TenantId, Version};
use codeccloud_actors::ports::Ids;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::reference::Change;
use super::transactional::Turn;
use super::{CallerPool, OutboxWaker};
use crate::outbox::BookingChange;
use crate::outbox::webhooks::{SigningSecret, TargetUrl, secret_purpose};
use crate::ports::{
    IdempotencyKey, NewWebhook, Page, ReferenceError, WebhookChange, WebhookDeliveryView, WebhookView, Webhooks,
};
use crate::vault::{MasterKeys, SealedSecret};

pub use endpoints::PostgresEndpoints;
pub use rotation::rewrap_webhook_secrets;

/// More would only be called in vain.
const ENDPOINTS_MAX: i64 = 50;

pub struct PostgresWebhooks {
    /// Of the role `authenticated`.
    pub members: Arc<CallerPool>,
    pub keys: MasterKeys,
    pub waker: OutboxWaker,
    pub ids: Arc<dyn Ids>,
    pub allow_private_addresses: bool,
    pub previous_secret_hours: u32,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, ReferenceError>>;

impl PostgresWebhooks {
    async fn member(&self, tenant_id: TenantId) -> Result<Turn<'_>, ReferenceError> {
        let turn = self.members.for_command(tenant_id).await;
        turn.map_err(|error| ReferenceError::Unavailable(error.to_string()))
    }

    async fn reader(&self) -> Result<Turn<'_>, ReferenceError> {
        self.members.for_reading().await.map_err(|error| ReferenceError::Unavailable(error.to_string()))
    }

    fn check(&self, url: Option<&str>, event_types: Option<&[String]>) -> Result<(), ReferenceError> {
        if let Some(Err(error)) = url.map(|url| TargetUrl::parse(url, self.allow_private_addresses)) {
            return Err(ReferenceError::Invalid { field: "url", message: error.to_string() });
        }
        let unknown = event_types.into_iter().flatten().find(|kind| BookingChange::parse(kind).is_none());
        match unknown {
            Some(unknown) => {
                let message = format!("there is no event type {unknown}");
                Err(ReferenceError::Invalid { field: "eventTypes", message })
            }
            None => Ok(()),
        }
    }

    fn seal(&self, tenant_id: Uuid, id: Uuid, secret: &SigningSecret) -> SealedSecret {
        self.keys.seal_secret(&secret_purpose(TenantId(tenant_id), id), secret.as_bytes())
    }

    /// The secret as it is now: what a replay of the request that made it shows, as long as no newer one was made.
    async fn secret(&self, change: &Change<'_>, id: Uuid) -> Result<String, ReferenceError> {
        let sealed = rows::secret(change, id).await?;
        let opened = self.keys.open_secret(&secret_purpose(TenantId(change.tenant_id), id), &sealed);
        let unreadable = || ReferenceError::Unavailable("a webhook's secret can't be decrypted".to_owned());
        let secret = opened.ok_or_else(unreadable)?;
        Ok(SigningSecret::from(secret).text())
    }
}

impl Webhooks for PostgresWebhooks {
    fn list(&self, tenant_id: TenantId, caller: Caller) -> Answer<'_, Vec<WebhookView>> {
        async move {
            let mut client = self.reader().await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            rows::list(&change).await
        }
        .boxed()
    }

    fn get(&self, tenant_id: TenantId, caller: Caller, id: Uuid) -> Answer<'_, WebhookView> {
        async move {
            let mut client = self.reader().await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            rows::get(&change, id).await
        }
        .boxed()
    }

    fn create(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewWebhook,
        idempotency: IdempotencyKey,
    ) -> Answer<'_, (WebhookView, String, bool)> {
        async move {
            self.check(Some(&new.url), Some(&new.event_types))?;
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            let id = self.ids.uuid();
            if let Some(first) = change.claim(Some(idempotency), self.ids.uuid(), &[id]).await? {
                let (view, secret) = (rows::get(&change, first[0]).await?, self.secret(&change, first[0]).await?);
                return Ok((view, secret, true));
            }
            if rows::count(&change).await? >= ENDPOINTS_MAX {
                return Err(ReferenceError::Conflict(format!("there are {ENDPOINTS_MAX} endpoints already")));
            }
            let secret = SigningSecret::generate();
            rows::note_bookings(&change).await?;
            rows::insert(&change, id, &new, &self.seal(tenant_id.0, id, &secret)).await?;
            let view = rows::get(&change, id).await?;
            change.commit().await?;
            Ok((view, secret.text(), false))
        }
        .boxed()
    }

    fn change(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: Uuid,
        to: WebhookChange,
        expected: Option<Version>,
    ) -> Answer<'_, WebhookView> {
        async move {
            self.check(to.url.as_deref(), to.event_types.as_deref())?;
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            rows::lock(&change, id, expected).await?;
            if to.active == Some(true) {
                rows::note_bookings(&change).await?;
            }
            rows::update(&change, id, &to).await?;
            let view = rows::get(&change, id).await?;
            change.commit().await?;
            Ok(view)
        }
        .boxed()
    }

    fn delete(&self, tenant_id: TenantId, caller: Caller, id: Uuid, expected: Option<Version>) -> Answer<'_, ()> {
        async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            rows::lock(&change, id, expected).await?;
            rows::delete(&change, id).await?;
            change.commit().await
        }
        .boxed()
    }

    fn rotate_secret(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: Uuid,
        idempotency: IdempotencyKey,
    ) -> Answer<'_, (WebhookView, String, bool)> {
        async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            rows::lock(&change, id, None).await?;
            if change.claim(Some(idempotency), self.ids.uuid(), &[id]).await?.is_some() {
                return Ok((rows::get(&change, id).await?, self.secret(&change, id).await?, true));
            }
            rows::demand_no_previous_secret(&change, id).await?;
            let secret = SigningSecret::generate();
            let sealed = self.seal(tenant_id.0, id, &secret);
            rows::rotate(&change, id, &sealed, self.previous_secret_hours).await?;
            let view = rows::get(&change, id).await?;
            change.commit().await?;
            Ok((view, secret.text(), false))
        }
        .boxed()
    }

    fn deliveries(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: Uuid,
        before: Option<i64>,
        limit: usize,
    ) -> Answer<'_, Page<WebhookDeliveryView>> {
        async move {
            let mut client = self.reader().await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            rows::get(&change, id).await?;
            rows::deliveries(&change, id, before, limit).await
        }
        .boxed()
    }

    fn replay(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: Uuid,
        delivery_id: Uuid,
        idempotency: IdempotencyKey,
    ) -> Answer<'_, (WebhookDeliveryView, bool)> {
        async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            rows::get(&change, id).await?;
            if change.claim(Some(idempotency), self.ids.uuid(), &[delivery_id]).await?.is_some() {
                return Ok((rows::delivery(&change, id, delivery_id).await?, true));
            }
            let sql = "SELECT app_private.replay_webhook_delivery($1, $2, $3)";
            let parameters =
                [(&change.tenant_id as _, Type::UUID), (&id as _, Type::UUID), (&delivery_id as _, Type::UUID)];
            let replayed = change.query(sql, &parameters).await?;
            if !replayed.first().is_some_and(|row| row.get(0)) {
                return Err(ReferenceError::NotFound("delivery"));
            }
            let view = rows::delivery(&change, id, delivery_id).await?;
            change.commit().await?;
            self.waker.committed();
            Ok((view, false))
        }
        .boxed()
    }
}
