use std::fmt;
use std::ops::RangeInclusive;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Entry, Place};

const DIGEST_BYTES: usize = 16;
const LISTED_BYTES: usize = 8 + DIGEST_BYTES;

/// The keyed hash of an entry: whoever lacks the key can't make one, nor find out by trying what an erased entry held.
pub type Digest = [u8; DIGEST_BYTES];

/// From one entry, not included, to another, included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub cluster_id: i64,
    pub after: Place,
    pub through: Place,
}

/// A row of `audit_seals`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// 1, 2, 3 … without gap.
    pub number: i64,
    pub range: Range,
    /// The ids and digests of its entries, as they are stored.
    pub digests: Vec<u8>,
    pub key_id: String,
    /// Microseconds since 2000-01-01.
    pub sealed_at: i64,
    /// The seal before; empty for the first.
    pub previous: Vec<u8>,
    pub seal: Vec<u8>,
}

impl Seal {
    pub fn listed(&self) -> impl Iterator<Item = (i64, Digest)> {
        self.digests.chunks_exact(LISTED_BYTES).map(|listed| {
            let (id, digest) = listed.split_at(8);
            (i64::from_be_bytes(id.try_into().expect("8 bytes")), digest.try_into().expect("16 bytes"))
        })
    }

    pub fn newest_entry(&self) -> i64 {
        self.listed().map(|(id, _)| id).max().unwrap_or(0)
    }
}

/// One secret, and from it a key for entries and another for seals.
#[derive(Clone)]
pub struct SealKey {
    id: String,
    entries: Hmac<Sha256>,
    seals: Hmac<Sha256>,
}

impl SealKey {
    /// `id` is stored in each seal: never give one to two keys.
    pub fn new(id: impl Into<String>, secret: &[u8; 32]) -> SealKey {
        let derived = |purpose: &[u8]| keyed(&keyed(secret).chain_update(purpose).finalize().into_bytes());
        SealKey {
            id: id.into(),
            entries: derived(b"codeccloud audit entries"),
            seals: derived(b"codeccloud audit seals"),
        }
    }

    pub fn digest(&self, entry: &Entry) -> Digest {
        let whole = self.entries.clone().chain_update(entry.canonical()).finalize().into_bytes();
        whole[..DIGEST_BYTES].try_into().expect("a part of it")
    }

    pub(super) fn has_made(&self, seal: &Seal) -> bool {
        self.hash(seal).verify_slice(&seal.seal).is_ok()
    }

    fn hash(&self, seal: &Seal) -> Hmac<Sha256> {
        let Range { cluster_id, after, through } = seal.range;
        let mut hash = self.seals.clone();
        for number in [seal.number, cluster_id, after.id, through.id, seal.sealed_at] {
            hash.update(&number.to_be_bytes());
        }
        for number in [after.transaction, through.transaction, seal.digests.len() as u64, seal.previous.len() as u64] {
            hash.update(&number.to_be_bytes());
        }
        hash.chain_update(&seal.digests).chain_update(&seal.previous).chain_update(&seal.key_id)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

/// A key that makes no more seals. Who learns of it later can't continue the chain, nor make any part of it anew that is
/// joined to what came after.
#[derive(Debug, Clone)]
pub struct RetiredKey {
    pub key: SealKey,
    /// The last seal that was made with it.
    pub last_seal: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two audit seal keys have the same id")]
pub struct SealKeysError;

/// Seals are made with the current key, and verified with the one that they name.
#[derive(Debug, Clone)]
pub struct SealKeys {
    current: SealKey,
    /// In the order in which they were in use.
    previous: Vec<RetiredKey>,
}

impl SealKeys {
    pub fn new(current: SealKey, mut previous: Vec<RetiredKey>) -> Result<SealKeys, SealKeysError> {
        previous.sort_by_key(|retired| retired.last_seal);
        let keys = SealKeys { current, previous };
        let mut ids: Vec<&str> = keys.all().map(|key| key.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) { Err(SealKeysError) } else { Ok(keys) }
    }

    /// Seals `entries`, which are those beyond `after`, in order and final, of one cluster. `None` where there are none.
    pub fn seal(
        &self,
        previous: Option<(i64, Vec<u8>)>,
        cluster_id: i64,
        after: Place,
        entries: &[Entry],
        sealed_at: i64,
    ) -> Option<Seal> {
        let through = entries.last()?.place();
        let (previous_number, previous) = previous.unwrap_or_default();
        let mut digests = Vec::with_capacity(entries.len() * LISTED_BYTES);
        for entry in entries {
            digests.extend_from_slice(&entry.id.to_be_bytes());
            digests.extend_from_slice(&self.current.digest(entry));
        }
        let mut seal = Seal {
            number: previous_number + 1,
            range: Range { cluster_id, after, through },
            digests,
            key_id: self.current.id.clone(),
            sealed_at,
            previous,
            seal: Vec::new(),
        };
        seal.seal = self.current.hash(&seal).finalize().into_bytes().to_vec();
        Some(seal)
    }

    /// Whether this is the key that seals are made with.
    pub fn is_current(&self, id: &str) -> bool {
        self.current.id == id
    }

    pub fn current_id(&self) -> &str {
        &self.current.id
    }

    pub(super) fn named(&self, id: &str) -> Option<&SealKey> {
        self.all().find(|key| key.id == id)
    }

    /// Which seals the key may have made: those of the keys before it are not its own.
    pub(super) fn term(&self, id: &str) -> Option<RangeInclusive<i64>> {
        let mut first = 1;
        for RetiredKey { key, last_seal } in &self.previous {
            if key.id == id {
                return Some(first..=*last_seal);
            }
            first = last_seal + 1;
        }
        self.is_current(id).then_some(first..=i64::MAX)
    }

    /// Seals up to this one were made, whatever the database says.
    pub(super) fn last_retired_seal(&self) -> i64 {
        self.previous.last().map_or(0, |retired| retired.last_seal)
    }

    fn all(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.current).chain(self.previous.iter().map(|retired| &retired.key))
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}
