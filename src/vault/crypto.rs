//! AES-256-GCM with everything bound that a ciphertext must not be moved between: tenant, customer, purpose, and for notes
//! the booking and the kind.
//!
//! A ciphertext is `format byte, nonce (12 random bytes), encrypted bytes, tag`. Keys and nonces come from the operating
//! system and are not injected like other randomness: a repeatable nonce would be a hole, not a help.

use std::fmt;

use aes_gcm::aead::{Aead, Generate, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use bytes::Bytes;
use codeccloud_actors::ids::BookingId;
use codeccloud_actors::ports::SealedNote;

use super::{CustomerProfile, CustomerRef, NoteKind, VaultError};

/// Of the layout above, and of a profile's JSON.
const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 12;
pub const KEY_BYTES: usize = 32;

/// A customer's data key. Whoever holds it can read and write everything of this one customer.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey {
    customer: CustomerRef,
    key: [u8; KEY_BYTES],
}

impl CustomerKey {
    pub fn seal_note(&self, booking_id: BookingId, kind: NoteKind, text: &str) -> SealedNote {
        SealedNote {
            customer_id: self.customer.customer_id,
            booking_id,
            kind: kind.as_str(),
            ciphertext: self.seal(Purpose::Note { booking_id, kind }, text.as_bytes()),
        }
    }

    pub(super) fn open_note(&self, note: &SealedNote) -> Result<(NoteKind, String), VaultError> {
        let kind = NoteKind::parse(note.kind).ok_or_else(|| self.unreadable())?;
        let text = self.open(Purpose::Note { booking_id: note.booking_id, kind }, &note.ciphertext)?;
        Ok((kind, String::from_utf8(text).map_err(|_| self.unreadable())?))
    }

    /// For the answer kept with an idempotency key.
    pub fn seal_answer(&self, answer: &[u8]) -> Bytes {
        self.seal(Purpose::Answer, answer)
    }

    pub(super) fn open_answer(&self, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.open(Purpose::Answer, sealed)
    }

    /// `null` of a customer of whom no more than the key is there.
    pub(super) fn seal_profile(&self, profile: Option<&CustomerProfile>) -> Bytes {
        self.seal(Purpose::Profile, &serde_json::to_vec(&profile).expect("a profile is plain strings"))
    }

    pub(super) fn open_profile(&self, sealed: &[u8]) -> Result<Option<CustomerProfile>, VaultError> {
        let json = self.open(Purpose::Profile, sealed)?;
        serde_json::from_slice(&json).map_err(|_| self.unreadable())
    }

    pub(super) fn generate(customer: CustomerRef) -> CustomerKey {
        CustomerKey { customer, key: Generate::generate() }
    }

    pub(super) fn wrapped_by(&self, master: &Aes256Gcm) -> Bytes {
        seal(master, &Purpose::Key.bound_to(self.customer), &self.key)
    }

    /// `None` when it was wrapped by another key, or for another customer.
    pub(super) fn unwrapped_by(master: &Aes256Gcm, customer: CustomerRef, wrapped: &[u8]) -> Option<CustomerKey> {
        let key = open(master, &Purpose::Key.bound_to(customer), wrapped)?;
        Some(CustomerKey { customer, key: key.try_into().ok()? })
    }

    fn seal(&self, purpose: Purpose, plain: &[u8]) -> Bytes {
        seal(&Aes256Gcm::new(&self.key.into()), &purpose.bound_to(self.customer), plain)
    }

    fn open(&self, purpose: Purpose, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        open(&Aes256Gcm::new(&self.key.into()), &purpose.bound_to(self.customer), sealed)
            .ok_or_else(|| self.unreadable())
    }

    fn unreadable(&self) -> VaultError {
        VaultError::Unreadable(self.customer.customer_id)
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomerKey({})", self.customer.customer_id)
    }
}

#[derive(Clone, Copy)]
enum Purpose {
    Key,
    Profile,
    Note { booking_id: BookingId, kind: NoteKind },
    Answer,
}

impl Purpose {
    /// The associated data. The ids have a fixed length, so no two contexts share one.
    fn bound_to(self, customer: CustomerRef) -> Vec<u8> {
        let mut bound = Vec::with_capacity(80);
        bound.extend_from_slice(customer.tenant_id.0.as_bytes());
        bound.extend_from_slice(customer.customer_id.0.as_bytes());
        match self {
            Purpose::Key => bound.extend_from_slice(b"key"),
            Purpose::Profile => bound.extend_from_slice(b"profile"),
            Purpose::Answer => bound.extend_from_slice(b"answer"),
            Purpose::Note { booking_id, kind } => {
                bound.extend_from_slice(b"note");
                bound.extend_from_slice(booking_id.0.as_bytes());
                bound.extend_from_slice(kind.as_str().as_bytes());
            }
        }
        bound
    }
}

pub(super) fn seal(cipher: &Aes256Gcm, bound: &[u8], plain: &[u8]) -> Bytes {
    let nonce: [u8; NONCE_BYTES] = Generate::generate();
    let encrypted = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: bound })
        .expect("AES-GCM takes any message below 64 GiB");
    [&[FORMAT], &nonce[..], &encrypted].concat().into()
}

pub(super) fn open(cipher: &Aes256Gcm, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (&format, rest) = sealed.split_first()?;
    let (&nonce, encrypted) = rest.split_first_chunk::<NONCE_BYTES>()?;
    if format != FORMAT {
        return None;
    }
    cipher.decrypt(&Nonce::from(nonce), Payload { msg: encrypted, aad: bound }).ok()
}
