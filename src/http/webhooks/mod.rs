//! Webhooks: who is called when something becomes of a booking.

mod change;
mod deliveries;
mod webhook;

pub use change::{ChangeWebhook, CreateWebhook, change, create, delete, rotate_secret};
pub use deliveries::{DeliveryQuery, WebhookDelivery, list_deliveries, replay};
pub use webhook::{Webhook, WebhookSecret, get, list};
