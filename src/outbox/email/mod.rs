//! Mail to customers about their bookings.

mod calendar;
mod mail;
mod smtp;
mod words;

use std::sync::Arc;

use codeccloud_actors::ports::Clock;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

pub use smtp::{SmtpSettings, SmtpSettingsError};

use self::mail::Mail;
use self::smtp::Smtp;
use super::delivery::{Delivery, Outcome};
use super::entry::BookingChange;
use super::sending::Sender;
use super::store::OutboxStore;
use crate::ports::{Customers, CustomersError};

/// What becomes of a booking that customers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    Confirmed,
    Moved,
    Cancelled,
}

pub struct EmailSender {
    store: Arc<dyn OutboxStore>,
    customers: Arc<dyn Customers>,
    clock: Arc<dyn Clock>,
    smtp: Smtp,
}

impl EmailSender {
    pub fn new(
        store: Arc<dyn OutboxStore>,
        customers: Arc<dyn Customers>,
        clock: Arc<dyn Clock>,
        settings: &SmtpSettings,
    ) -> Result<EmailSender, SmtpSettingsError> {
        Ok(EmailSender { store, customers, clock, smtp: Smtp::new(settings)? })
    }

    async fn attempt(&self, delivery: &Delivery) -> Outcome {
        let message = &delivery.message;
        let Some(notice) = Notice::of(message.change) else {
            return Outcome::Skipped { reason: "nobody is mailed about such a change" };
        };
        if message.slot.start <= self.clock.now() {
            return Outcome::Skipped { reason: "the booking is in the past" };
        }
        let Some(customer_id) = message.customer_id else {
            return Outcome::Skipped { reason: "the booking has no customer" };
        };
        let customer = match self.customers.current(delivery.tenant_id, customer_id).await {
            Ok((profile, _)) => profile,
            Err(CustomersError::NotFound) => return Outcome::Skipped { reason: "the vault has no such customer" },
            Err(CustomersError::Outdated | CustomersError::Unavailable(_)) => {
                return Outcome::NotTried { reason: "the vault can't be read" };
            }
        };
        let salon = match self.store.salon(delivery.tenant_id, message.service_id, message.staff_id).await {
            Ok(Some(salon)) => salon,
            Ok(None) => return Outcome::Skipped { reason: "the tenant is gone" },
            Err(_) => return Outcome::NotTried { reason: "the tenant can't be read" },
        };
        let mail = Mail { delivery_id: delivery.id, notice, message, customer: &customer, salon: &salon };
        self.smtp.send(&mail, self.clock.now()).await
    }
}

impl Sender for EmailSender {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Outcome> {
        self.attempt(delivery).boxed()
    }
}

impl Notice {
    fn of(change: BookingChange) -> Option<Notice> {
        match change {
            BookingChange::Scheduled => Some(Notice::Confirmed),
            BookingChange::Rescheduled => Some(Notice::Moved),
            BookingChange::Cancelled => Some(Notice::Cancelled),
            BookingChange::Confirmed | BookingChange::CheckedIn | BookingChange::Completed | BookingChange::NoShow => {
                None
            }
        }
    }
}
