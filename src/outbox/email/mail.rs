//! A mail as it goes out: words, and the calendar entry as an attachment.

use std::time::{Duration, UNIX_EPOCH};

use codeccloud_actors::time::Timestamp;
use lettre::Message as Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use uuid::Uuid;

use super::{Notice, calendar, words};
use crate::outbox::delivery::Message;
use crate::outbox::store::SalonWords;
use crate::vault::CustomerProfile;

pub struct Mail<'a> {
    pub delivery_id: Uuid,
    pub notice: Notice,
    pub message: &'a Message,
    pub customer: &'a CustomerProfile,
    pub salon: &'a SalonWords,
}

/// What is wrong is never said with the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    #[error("the customer's address is none")]
    Address,
    #[error("the mail can't be put together")]
    Parts,
}

impl Mail<'_> {
    /// From the server's address in the salon's name.
    pub fn envelope(&self, from: &Mailbox, now: Timestamp) -> Result<Envelope, Unsendable> {
        let address = self.customer.email.trim().parse().map_err(|_| Unsendable::Address)?;
        let name = format!("{} {}", self.customer.first_name, self.customer.last_name);
        let kind = format!("text/calendar; charset=utf-8; method={}", self.notice.method());
        let kind = ContentType::parse(&kind).map_err(|_| Unsendable::Parts)?;
        let event = calendar::event(self, from.email.as_ref());
        let parts = MultiPart::mixed()
            .singlepart(SinglePart::plain(words::body(self)))
            .singlepart(Attachment::new("booking.ics".to_owned()).body(event, kind));
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(0);
        Envelope::builder()
            .from(Mailbox::new(Some(plain(&self.salon.name)), from.email.clone()))
            .to(Mailbox::new(Some(plain(&name)), address))
            .subject(plain(&words::subject(self)))
            // The same for each attempt, so that who gets it twice sees it once.
            .message_id(Some(format!("<{}@{}>", self.delivery_id, from.email.domain())))
            .date(UNIX_EPOCH + Duration::from_millis(now_ms))
            .multipart(parts)
            .map_err(|_| Unsendable::Parts)
    }
}

/// On one line: no name adds a header, nor a line of its own to what the mail says.
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
