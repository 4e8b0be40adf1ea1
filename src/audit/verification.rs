use std::collections::HashMap;

use super::{Anchor, Digest, Entry, Finding, Seal, SealKey, SealKeys};

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// The number of the last one.
    pub last_seal: i64,
    /// Compared with their seals.
    pub entries: u64,
    /// Too new to be sealed.
    pub unsealed: u64,
}

/// The comparison of the log with its seals: it is told of the seals in the order of their numbers, after each that it
/// asks for of that one's entries, and in the end of what no seal reaches. It holds one seal at a time.
pub struct Verification<'a> {
    keys: &'a SealKeys,
    anchor: Option<&'a Anchor>,
    summary: Summary,
    /// The seal before.
    last: Option<Vec<u8>>,
    /// What they reached can't be told from what is new.
    seals_are_missing: bool,
    /// The key that was last complained of, so that it is not done for each of its seals.
    complaint: Option<String>,
}

/// A sound seal, whose entries are being looked at.
pub struct Listed<'a> {
    keys: &'a SealKeys,
    key_id: String,
    seal: i64,
    /// Those not met so far.
    missing: HashMap<i64, Digest>,
    by_digest: HashMap<Digest, i64>,
    /// Sealed under one id, met under another.
    moved: Vec<i64>,
}

impl<'a> Verification<'a> {
    /// `anchor` is the newest seal as it was noted outside of the database.
    pub fn new(keys: &'a SealKeys, anchor: Option<&'a Anchor>) -> Verification<'a> {
        Verification {
            keys,
            anchor,
            summary: Summary::default(),
            last: None,
            seals_are_missing: false,
            complaint: None,
        }
    }

    /// `Some` where the seal is sound: then its range's entries are to be looked at.
    pub fn seal(&mut self, seal: &Seal, mut found: impl FnMut(Finding)) -> Option<Listed<'a>> {
        let gap = seal.number > self.summary.last_seal + 1;
        if gap {
            self.seals_are_missing = true;
            found(Finding::SealsRemoved { first: self.summary.last_seal + 1, last: seal.number - 1 });
        }
        if self.anchor.is_some_and(|anchor| anchor.number == seal.number && *anchor != Anchor::of(seal)) {
            found(Finding::Contradicted { seal: seal.number });
        }
        let before = self.last.replace(seal.seal.clone());
        self.summary.last_seal = seal.number;
        let key = self.usable_key(seal, &mut found)?;
        if !key.has_made(seal) {
            let ids = || seal.listed().map(|(id, _)| id);
            let (first_entry, last_entry) = (ids().min().unwrap_or(0), ids().max().unwrap_or(0));
            found(Finding::SealChanged { seal: seal.number, first_entry, last_entry });
            return None;
        }
        // Where seals are gone, that has been said.
        if !gap && before.unwrap_or_default() != seal.previous {
            found(Finding::ChainBroken { seal: seal.number });
        }
        Some(Listed {
            keys: self.keys,
            key_id: seal.key_id.clone(),
            seal: seal.number,
            missing: seal.listed().collect(),
            by_digest: seal.listed().map(|(id, digest)| (digest, id)).collect(),
            moved: Vec::new(),
        })
    }

    /// The key that the seal names, if it is there and was in use then: who has got hold of one that was rotated away must not
    /// be able to make seals with it.
    fn usable_key(&mut self, seal: &Seal, mut found: impl FnMut(Finding)) -> Option<&'a SealKey> {
        let (known, key_id) = (self.keys.named(&seal.key_id), seal.key_id.clone());
        if self.keys.term(&key_id).is_some_and(|term| term.contains(&seal.number)) {
            self.complaint = None;
            return known;
        }
        if self.complaint.replace(key_id.clone()).as_ref() != Some(&key_id) {
            found(match known {
                Some(_) => Finding::KeyOutOfTurn { seal: seal.number, key_id },
                None => Finding::UnknownKey { seal: seal.number, key_id },
            });
        }
        None
    }

    /// An entry beyond all seals of its cluster. `expected` where the sealer has yet to come that far.
    pub fn beyond(&mut self, entry: i64, tenant: Option<uuid::Uuid>, expected: bool, mut found: impl FnMut(Finding)) {
        if expected || self.seals_are_missing {
            self.summary.unsealed += 1;
        } else {
            found(Finding::SlippedIn { entry, tenant: tenant.map(codeccloud_actors::ids::TenantId) });
        }
    }

    pub fn compared(&mut self, entries: u64) {
        self.summary.entries += entries;
    }

    pub fn finish(self, mut found: impl FnMut(Finding)) -> Summary {
        if let Some(anchor) = self.anchor.filter(|anchor| anchor.number > self.summary.last_seal) {
            found(Finding::CutOff { seal: anchor.number, entry: anchor.entry });
        }
        let (last, last_retired) = (self.summary.last_seal, self.keys.last_retired_seal());
        if last < last_retired {
            found(Finding::SealsRemoved { first: last + 1, last: last_retired });
        }
        self.summary
    }
}

impl Listed<'_> {
    /// An entry of the seal's range.
    pub fn entry(&mut self, entry: &Entry, mut found: impl FnMut(Finding)) {
        let key = self.keys.named(&self.key_id).expect("the seal was verified with it");
        let (digest, seal, tenant) = (key.digest(entry), self.seal, entry.tenant());
        let listed = self.missing.remove(&entry.id);
        if listed == Some(digest) {
            return;
        }
        match (self.by_digest.get(&digest), listed) {
            (Some(&sealed_as), _) => {
                self.moved.push(sealed_as);
                found(Finding::Reordered { entry: entry.id, sealed_as, tenant, seal });
            }
            (None, Some(_)) => found(Finding::Changed { entry: entry.id, tenant, seal }),
            (None, None) => found(Finding::SlippedIn { entry: entry.id, tenant }),
        }
    }

    /// After the last of the range.
    pub fn finish(self, found: impl FnMut(Finding)) {
        let (seal, moved) = (self.seal, self.moved);
        let mut gone: Vec<i64> = self.missing.into_keys().filter(|id| !moved.contains(id)).collect();
        gone.sort_unstable();
        gone.into_iter().map(|entry| Finding::Removed { entry, seal }).for_each(found);
    }
}
