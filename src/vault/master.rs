use std::fmt;
use std::str::FromStr;

use aes_gcm::aead::Generate;
use aes_gcm::{Aes256Gcm, KeyInit};
use bytes::Bytes;
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::SealedCustomer;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::crypto::{self, CustomerKey, KEY_BYTES};
use super::{CustomerProfile, CustomerRef, KnownCustomer, VaultError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    #[error("a master key is written as `id:` and 64 hexadecimal digits")]
    Malformed,
    #[error("two master keys have the same id")]
    SameId,
}

/// Wraps data keys, hashes addresses and signs copies, each with a key derived for that purpose alone.
#[derive(Clone)]
pub struct MasterKey {
    id: String,
    wrapping: Aes256Gcm,
    secrets: Aes256Gcm,
    lookup: Hmac<Sha256>,
    copies: Hmac<Sha256>,
}

impl MasterKey {
    /// `id` is stored beside what the key wraps: never give one to two keys.
    pub fn new(id: impl Into<String>, secret: [u8; KEY_BYTES]) -> MasterKey {
        let derived =
            |purpose: &[u8]| -> [u8; KEY_BYTES] { keyed(&secret).chain_update(purpose).finalize().into_bytes().into() };
        MasterKey {
            id: id.into(),
            wrapping: Aes256Gcm::new(&derived(b"codeccloud vault wrapping").into()),
            secrets: Aes256Gcm::new(&derived(b"codeccloud vault secrets").into()),
            lookup: keyed(&derived(b"codeccloud vault e-mail lookup")),
            copies: keyed(&derived(b"codeccloud copies of answers")),
        }
    }

    /// A fresh key as the text that `FromStr` reads.
    pub fn generate_text(id: &str) -> String {
        let secret: [u8; KEY_BYTES] = Generate::generate();
        secret.iter().fold(format!("{id}:"), |text, byte| format!("{text}{byte:02x}"))
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    fn email_lookup(&self, tenant_id: TenantId, email: &str) -> Bytes {
        let address = email.trim().to_lowercase();
        let hash = self.lookup.clone().chain_update(tenant_id.0.as_bytes()).chain_update(address.as_bytes());
        Bytes::copy_from_slice(&hash.finalize().into_bytes())
    }
}

impl FromStr for MasterKey {
    type Err = MasterKeyError;

    fn from_str(text: &str) -> Result<MasterKey, MasterKeyError> {
        let (id, digits) = text.trim().split_once(':').ok_or(MasterKeyError::Malformed)?;
        let mut secret = [0; KEY_BYTES];
        if id.is_empty() || digits.len() != 2 * KEY_BYTES || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(MasterKeyError::Malformed);
        }
        for (byte, at) in secret.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).expect("two hexadecimal digits");
        }
        Ok(MasterKey::new(id, secret))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// A secret under a master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    pub master_key_id: String,
    pub ciphertext: Bytes,
}

/// Everything is written under the current key and read under any: a key may go once nothing is left under it.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    current: MasterKey,
    previous: Vec<MasterKey>,
}

impl MasterKeys {
    pub fn new(current: MasterKey, previous: Vec<MasterKey>) -> Result<MasterKeys, MasterKeyError> {
        let keys = MasterKeys { current, previous };
        let mut ids: Vec<&str> = keys.all().map(MasterKey::id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(MasterKeyError::SameId);
        }
        Ok(keys)
    }

    pub fn current_id(&self) -> &str {
        self.current.id()
    }

    /// For secrets of tenants that are no customer's. `purpose` says what it is for; it opens for nothing else.
    pub fn seal_secret(&self, purpose: &[u8], secret: &[u8]) -> SealedSecret {
        SealedSecret {
            master_key_id: self.current.id.clone(),
            ciphertext: crypto::seal(&self.current.secrets, purpose, secret),
        }
    }

    /// `None` when it was sealed under a key that isn't here, or for another purpose.
    pub fn open_secret(&self, purpose: &[u8], sealed: &SealedSecret) -> Option<Vec<u8>> {
        crypto::open(&self.named(&sealed.master_key_id)?.secrets, purpose, &sealed.ciphertext)
    }

    fn named(&self, id: &str) -> Option<&MasterKey> {
        self.all().find(|key| key.id == id)
    }

    /// Signs what is copied to where others may write.
    pub fn copies(&self) -> Hmac<Sha256> {
        self.current.copies.clone()
    }

    /// The row that follows `revision`.
    pub(super) fn seal(
        &self,
        customer: CustomerRef,
        key: &CustomerKey,
        profile: Option<&CustomerProfile>,
        revision: i32,
    ) -> SealedCustomer {
        SealedCustomer {
            customer_id: customer.customer_id,
            revision,
            wrapped_key: key.wrapped_by(&self.current.wrapping),
            master_key_id: self.current.id.clone(),
            profile: key.seal_profile(profile),
            email_lookup: profile
                .map_or_else(Bytes::new, |known| self.current.email_lookup(customer.tenant_id, &known.email)),
        }
    }

    pub(super) fn open(&self, customer: CustomerRef, row: &SealedCustomer) -> Result<KnownCustomer, VaultError> {
        let master = self.named(&row.master_key_id);
        let master = master.ok_or_else(|| VaultError::UnknownMasterKey(row.master_key_id.clone()))?;
        let key = CustomerKey::unwrapped_by(&master.wrapping, customer, &row.wrapped_key)
            .ok_or(VaultError::Unreadable(customer.customer_id))?;
        Ok(KnownCustomer { profile: key.open_profile(&row.profile)?, revision: row.revision, key })
    }

    /// The hashes under which a row may have this address.
    pub(super) fn email_lookups(&self, tenant_id: TenantId, email: &str) -> Vec<Bytes> {
        self.all().map(|key| key.email_lookup(tenant_id, email)).collect()
    }

    fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}
