use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::{BookingId, TenantId, Version};
use codeccloud_actors::time::Timestamp;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{IdempotencyKey, Page, ReferenceError};

/// The endpoints that a tenant has called when something becomes of its bookings, and what was sent to them.
pub trait Webhooks: Send + Sync + 'static {
    /// Oldest first; there are few.
    fn list(&self, tenant_id: TenantId, caller: Caller) -> BoxFuture<'_, Result<Vec<WebhookView>, ReferenceError>>;

    fn get(&self, tenant_id: TenantId, caller: Caller, id: Uuid) -> BoxFuture<'_, Result<WebhookView, ReferenceError>>;

    /// The endpoint, its secret, and whether the answer is that of an earlier request.
    fn create(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewWebhook,
        idempotency: IdempotencyKey,
    ) -> BoxFuture<'_, Result<(WebhookView, String, bool), ReferenceError>>;

    fn change(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: Uuid,
        change: WebhookChange,
        expected: Option<Version>,
    ) -> BoxFuture<'_, Result<WebhookView, ReferenceError>>;

    /// What has not been sent to it by then is not sent any more.
    fn delete(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: Uuid,
        expected: Option<Version>,
    ) -> BoxFuture<'_, Result<(), ReferenceError>>;

    /// Makes a new secret; calls are signed with the one before as well for a while.
    fn rotate_secret(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: Uuid,
        idempotency: IdempotencyKey,
    ) -> BoxFuture<'_, Result<(WebhookView, String, bool), ReferenceError>>;

    /// Newest first, those before the number.
    fn deliveries(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: Uuid,
        before: Option<i64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<WebhookDeliveryView>, ReferenceError>>;

    /// Sends it again, under its id, whatever became of it.
    fn replay(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: Uuid,
        delivery_id: Uuid,
        idempotency: IdempotencyKey,
    ) -> BoxFuture<'_, Result<(WebhookDeliveryView, bool), ReferenceError>>;
}

#[derive(Debug, Clone)]
pub struct NewWebhook {
    pub url: String,
    /// Empty is all.
    pub event_types: Vec<String>,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    pub url: Option<String>,
    pub event_types: Option<Vec<String>>,
    pub active: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookView {
    pub id: Uuid,
    pub url: String,
    pub event_types: Vec<String>,
    pub active: bool,
    /// Why the server has switched it off.
    pub off_reason: Option<String>,
    pub previous_secret_until: Option<Timestamp>,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDeliveryView {
    pub id: Uuid,
    pub number: i64,
    pub event_type: String,
    pub booking_id: BookingId,
    pub state: String,
    pub attempts: u32,
    /// Of the next attempt, while it is waiting.
    pub next_attempt_at: Option<Timestamp>,
    pub response_status: Option<u16>,
    pub reason: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}
