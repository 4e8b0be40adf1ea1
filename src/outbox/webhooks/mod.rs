//! Webhooks by the Standard Webhooks specification (standardwebhooks.com): signed, retried over three days, switched off by
//! a 410.

mod addresses;
mod call;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::{Clock, StoreError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use uuid::Uuid;

pub use addresses::{TargetUrl, UrlError};
pub use call::Caller;
pub use signature::SigningSecret;

use self::call::{CallError, Reply};
use super::delivery::{Delivery, Message, Outcome};
use super::sending::Sender;
use crate::vault::{MasterKeys, SealedSecret};

/// The endpoints, of all tenants.
pub trait EndpointStore: Send + Sync + 'static {
    fn target(&self, tenant_id: TenantId, id: Uuid) -> BoxFuture<'_, Result<Option<Target>, StoreError>>;

    /// Only while it leads to `url`: who has given it another meanwhile knows better. `false` if it doesn't, or is off.
    fn switch_off<'a>(
        &'a self,
        tenant_id: TenantId,
        id: Uuid,
        url: &'a str,
        reason: &'static str,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

/// Where an endpoint is called, and what with.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: String,
    pub is_on: bool,
    /// The current one, and for a while the one before it.
    pub secrets: Vec<SealedSecret>,
}

pub struct WebhookSender {
    pub endpoints: Arc<dyn EndpointStore>,
    pub keys: MasterKeys,
    pub caller: Caller,
    pub clock: Arc<dyn Clock>,
}

/// What a secret is sealed for, so that no row's secret serves another.
pub fn secret_purpose(tenant_id: TenantId, endpoint_id: Uuid) -> Vec<u8> {
    [tenant_id.0.as_bytes().as_slice(), endpoint_id.as_bytes(), b"webhook secret"].concat()
}

/// The request's body, the same for each attempt: ids only, who may read more asks for it.
pub fn body(tenant_id: TenantId, message: &Message) -> String {
    json!({
        "type": message.change,
        "timestamp": message.changed_at,
        "data": {
            "tenantId": tenant_id, "bookingId": message.booking_id, "customerId": message.customer_id,
            "staffId": message.staff_id, "serviceId": message.service_id,
        },
    })
    .to_string()
}

impl WebhookSender {
    async fn attempt(&self, delivery: &Delivery) -> Outcome {
        let (tenant_id, id) = (delivery.tenant_id, delivery.target_id);
        let target = match self.endpoints.target(tenant_id, id).await {
            Ok(Some(target)) if target.is_on => target,
            Ok(Some(_)) => return Outcome::Skipped { reason: "the endpoint is off" },
            Ok(None) => return Outcome::Skipped { reason: "the endpoint was deleted" },
            Err(_) => return Outcome::NotTried { reason: "the endpoint can't be read" },
        };
        let purpose = secret_purpose(tenant_id, id);
        let opened = target.secrets.iter().map(|sealed| self.keys.open_secret(&purpose, sealed));
        let Some(secrets) = opened.map(|secret| secret.map(SigningSecret::from)).collect::<Option<Vec<_>>>() else {
            return Outcome::Refused { reason: "the endpoint's secret can't be decrypted".to_owned(), status: None };
        };
        let message_id = format!("msg_{}", delivery.id.simple());
        let timestamp = self.clock.now().as_millis() / 1_000;
        let body = body(tenant_id, &delivery.message);
        let signatures = signature::header(&message_id, timestamp, &body, &secrets);
        let headers = [
            ("webhook-id", message_id),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signatures),
        ];
        match self.caller.post(&target.url, &headers, body).await {
            Ok(reply) => self.heard(tenant_id, id, &target.url, reply).await,
            Err(error @ (CallError::Url(_) | CallError::Private)) => {
                Outcome::Refused { reason: error.to_string(), status: None }
            }
            Err(
                error @ (CallError::Lookup
                | CallError::Connecting
                | CallError::Tls
                | CallError::Broken
                | CallError::Timeout),
            ) => failed(&error.to_string(), None),
        }
    }

    async fn heard(&self, tenant_id: TenantId, id: Uuid, url: &str, reply: Reply) -> Outcome {
        let Reply { status, retry_after } = reply;
        match status {
            200..=299 => Outcome::Done { status: Some(status) },
            410 => match self.endpoints.switch_off(tenant_id, id, url, "it answered 410 Gone").await {
                Ok(true) => Outcome::Skipped { reason: "the endpoint answered 410 and was switched off" },
                Ok(false) => Outcome::NotTried { reason: "the endpoint has changed meanwhile" },
                Err(_) => Outcome::NotTried { reason: "the endpoint answered 410 and can't be switched off" },
            },
            300..=399 => failed("redirects are not followed", Some(status)),
            _ => Outcome::Failed { reason: format!("it answered {status}"), status: Some(status), wait: retry_after },
        }
    }
}

impl Sender for WebhookSender {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Outcome> {
        self.attempt(delivery).boxed()
    }
}

fn failed(reason: &str, status: Option<u16>) -> Outcome {
    Outcome::Failed { reason: reason.to_owned(), status, wait: None::<Duration> }
}
