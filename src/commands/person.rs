//! The personal data that goes with a command: what it brings is sealed, and what its answer shows is fetched, before
//! anything is decided.

use std::sync::Arc;

use codeccloud_actors::answer::{Respond, Response};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::CustomerId;
use codeccloud_actors::ports::{IdempotencyRecord, SealedRow};
use codeccloud_actors::sagas::booking::BookingCommand;

use super::{is_stored, vault_away};
use crate::ports::{CommandError, CommandRequest, Note, Rendering};
use crate::vault::{CustomerKey, CustomerProfile, NoteKind, Sealing, Vault};

/// Whose data a command touches, and what of it its answer shows.
#[derive(Default)]
pub(super) struct Person {
    customer_id: Option<CustomerId>,
    profile: Option<CustomerProfile>,
    key: Option<CustomerKey>,
    pub sealing: Option<Sealing>,
    pub rows: Vec<SealedRow>,
}

impl Person {
    /// `of_booking` is the customer of the booking that the command is about, where there is one already.
    pub async fn of(
        request: &CommandRequest,
        of_booking: Option<CustomerId>,
        vault: &Vault,
    ) -> Result<Person, CommandError> {
        let tenant_id = request.tenant_id;
        let mut person = Person::default();
        if let Some((customer_id, profile)) = &request.personal.customer {
            let sealing = vault.seal_customer(tenant_id, *customer_id, profile).await.map_err(vault_away)?;
            person.customer_id = Some(*customer_id);
            person.takes(sealing);
            person.profile = Some(profile.clone());
        } else if let Some(customer_id) = of_booking {
            person.customer_id = Some(customer_id);
            if request.personal.note.is_some() {
                person.takes(vault.seal_key(tenant_id, customer_id).await.map_err(vault_away)?);
            } else {
                person.key = vault.key(tenant_id, customer_id).await.map_err(vault_away)?;
            }
            let known = vault.profiles(tenant_id, &[customer_id]).await.map_err(vault_away)?;
            person.profile = known.get(&customer_id).and_then(|known| known.profile.clone());
        }
        if let (Some(Note { booking_id, kind, text }), Some(key)) = (&request.personal.note, &person.key) {
            person.rows.push(SealedRow::Note(key.seal_note(*booking_id, *kind, text)));
        }
        Ok(person)
    }

    fn takes(&mut self, mut sealing: Sealing) {
        self.rows.extend(sealing.row.take().map(SealedRow::Customer));
        self.key = Some(sealing.key.clone());
        self.sealing = Some(sealing);
    }

    /// Free text about a booking that is nobody's has no key to be kept under: it is left out, and nothing says that it was
    /// recorded.
    pub fn command(&self, command: &Command) -> Command {
        match command {
            Command::Booking(id, BookingCommand::Cancel { booking_id, waive_fee, reason_recorded }) => {
                let reason_recorded = *reason_recorded && self.key.is_some();
                let cancel = BookingCommand::Cancel { booking_id: *booking_id, waive_fee: *waive_fee, reason_recorded };
                Command::Booking(*id, cancel)
            }
            Command::Booking(..)
            | Command::StaffUtilisation(..)
            | Command::LoyaltyBalance(..)
            | Command::StockItem(..) => command.clone(),
        }
    }

    /// Builds the answer when the command is decided, and what is stored of it.
    pub fn responding(self, request: Arc<CommandRequest>) -> Respond {
        let is_booking = matches!(request.command, Command::Booking(_, _));
        Arc::new(move |verdict| {
            let note = request.personal.note.as_ref().filter(|_| self.key.is_some());
            let note = note.filter(|note| note.kind == NoteKind::CancellationReason);
            let answer = (request.render)(&Rendering {
                verdict,
                tenant_id: request.tenant_id,
                customer_id: self.customer_id,
                customer: self.profile.as_ref(),
                cancellation_reason: note.map(|note| note.text.as_str()),
            });
            let record = request.idempotency.as_ref().filter(|_| is_stored(answer.status)).map(|idempotency| {
                let key = self.key.as_ref().filter(|_| is_booking && answer.status < 400);
                IdempotencyRecord {
                    key: idempotency.key.clone(),
                    request_hash: idempotency.request_hash,
                    status: answer.status,
                    answer: key.map_or_else(|| answer.body.clone(), |key| key.seal_answer(&answer.body)),
                    sealed_for: key.and(self.customer_id),
                }
            });
            Response { answer, record }
        })
    }
}
