//! Puts the outbox of a server together.

use std::sync::Arc;
use std::time::Duration;

use codeccloud_actors::ports::{Clock, Ids, StoreError};
use tokio::sync::Notify;

use super::email::{EmailSender, SmtpSettings, SmtpSettingsError};
use super::retry::Schedule;
use super::sending::SenderOf;
use super::store::OutboxStore;
use super::webhooks::{Caller, WebhookSender};
use super::worker::{OutboxPorts, OutboxSettings, OutboxWorker};
use crate::ports::Customers;
use crate::postgres::{ConnectionPool, PostgresEndpoints, PostgresOutbox};
use crate::settings::{Secret, Settings};
use crate::vault::MasterKeys;

/// What the outbox needs of the server around it.
pub struct OutboxHouse {
    /// Of the role `codeccloud_outbox`.
    pub pool: ConnectionPool,
    pub wake: Arc<Notify>,
    pub customers: Arc<dyn Customers>,
    pub keys: MasterKeys,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

#[derive(Debug, thiserror::Error)]
pub enum OutboxStartError {
    #[error(transparent)]
    Smtp(#[from] SmtpSettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub async fn start(settings: &Settings, house: OutboxHouse) -> Result<OutboxWorker, OutboxStartError> {
    let store: Arc<dyn OutboxStore> = Arc::new(PostgresOutbox::new(house.pool.clone()));
    let email = match smtp_settings(settings) {
        Some(smtp) => {
            let sender = EmailSender::new(store.clone(), house.customers, house.clock.clone(), &smtp)?;
            Some(SenderOf { sender: Arc::new(sender), schedule: mail_schedule(settings) })
        }
        None => {
            tracing::info!("this server sends no mail to customers: smtp.host is not set");
            None
        }
    };
    let timeout = Duration::from_secs(settings.webhooks.timeout_seconds);
    let webhooks = WebhookSender {
        endpoints: Arc::new(PostgresEndpoints::new(house.pool)),
        keys: house.keys,
        caller: Caller::new(settings.webhooks.allow_private_addresses, timeout),
        clock: house.clock.clone(),
    };
    let webhooks = SenderOf { sender: Arc::new(webhooks), schedule: Schedule::standard_webhooks() };
    let ports = OutboxPorts { store, email, webhooks, wake: house.wake, clock: house.clock, ids: house.ids };
    Ok(OutboxWorker::start(ports, outbox_settings(settings)).await?)
}

fn smtp_settings(settings: &Settings) -> Option<SmtpSettings> {
    let smtp = &settings.smtp;
    let password = || smtp.password.clone().unwrap_or_else(|| Secret::new(String::new()));
    Some(SmtpSettings {
        host: smtp.host.clone()?,
        port: smtp.port,
        encryption: smtp.encryption,
        authorities: Some(smtp.ca_file.clone()).filter(|file| !file.as_os_str().is_empty()),
        credentials: smtp.username.clone().map(|user| (user, password())),
        from: smtp.from.clone()?,
        timeout: Duration::from_secs(smtp.timeout_seconds),
    })
}

fn mail_schedule(settings: &Settings) -> Schedule {
    Schedule::Backoff {
        min: Duration::from_secs(settings.outbox.retry_seconds_min),
        max: Duration::from_secs(settings.outbox.retry_seconds_max),
        attempts_max: settings.outbox.attempts_max,
    }
}

fn outbox_settings(settings: &Settings) -> OutboxSettings {
    OutboxSettings {
        poll: Duration::from_millis(settings.outbox.poll_ms),
        batch_max: settings.outbox.batch_max,
        senders: settings.outbox.senders,
        lease: Duration::from_secs(settings.outbox.lease_seconds),
        kept: Duration::from_secs(settings.outbox.keep_days * 24 * 3_600),
    }
}
