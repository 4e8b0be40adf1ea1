use uuid::Uuid;

use super::*;

fn entry(id: i64, transaction: u64) -> Entry {
    Entry {
        id,
        cluster_id: Some(7),
        transaction_id: Some(transaction),
        tenant_id: Some(Uuid::from_u128(1)),
        actor_id: None,
        event_type: Some("update".to_owned()),
        entity: Some("appointments_203001".to_owned()),
        entity_id: Some(format!("booking {id}")),
        before: None,
        after: Some(b"{\"a\": 1}".to_vec()),
        performed_at: Some(id * 10),
        context: None,
    }
}

fn keys() -> SealKeys {
    SealKeys::new(SealKey::new("1", &[1; 32]), vec![]).expect("one key")
}

/// Two seals of three entries each.
fn log() -> (Vec<Seal>, Vec<Entry>) {
    let entries: Vec<Entry> = (1..=6).map(|id| entry(id, 100 + id.unsigned_abs())).collect();
    let first = keys().seal(None, 7, Place::START, &entries[..3], 1).expect("entries");
    let previous = Some((first.number, first.seal.clone()));
    let second = keys().seal(previous, 7, first.range.through, &entries[3..], 2).expect("entries");
    (vec![first, second], entries)
}

fn findings(keys: &SealKeys, anchor: Option<&Anchor>, seals: &[Seal], entries: &[Entry]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut verification = Verification::new(keys, anchor);
    for seal in seals {
        let Some(mut listed) = verification.seal(seal, |finding| found.push(finding)) else { continue };
        let range = seal.range;
        let inside = entries.iter().filter(|entry| entry.place() > range.after && entry.place() <= range.through);
        inside.for_each(|entry| listed.entry(entry, |finding| found.push(finding)));
        listed.finish(|finding| found.push(finding));
    }
    verification.finish(|finding| found.push(finding));
    found
}

#[test]
fn what_was_not_touched_is_whole() {
    let (seals, entries) = log();
    assert_eq!(findings(&keys(), Some(&Anchor::of(&seals[1])), &seals, &entries), []);
}

#[test]
fn every_field_of_an_entry_counts() {
    let changes: [fn(&mut Entry); 11] = [
        |entry| entry.cluster_id = None,
        |entry| entry.transaction_id = None,
        |entry| entry.tenant_id = None,
        |entry| entry.actor_id = Some(Uuid::from_u128(2)),
        |entry| entry.event_type = Some("delete".to_owned()),
        |entry| entry.entity = None,
        |entry| entry.entity_id = Some(String::new()),
        |entry| entry.before = Some(vec![]),
        |entry| entry.after = Some(b"{\"a\": 2}".to_vec()),
        |entry| entry.performed_at = Some(0),
        |entry| entry.context = Some(b"{}".to_vec()),
    ];
    let key = SealKey::new("1", &[1; 32]);
    let whole = key.digest(&entry(1, 101));
    for (number, change) in changes.iter().enumerate() {
        let mut changed = entry(1, 101);
        change(&mut changed);
        assert_ne!(key.digest(&changed), whole, "change {number}");
    }
}

#[test]
fn an_entry_that_was_changed_removed_or_reordered_is_named() {
    let (seals, entries) = log();
    let tenant = entries[0].tenant();
    let mut changed = entries.clone();
    changed[1].after = None;
    assert_eq!(findings(&keys(), None, &seals, &changed), [Finding::Changed { entry: 2, tenant, seal: 1 }]);

    let mut removed = entries.clone();
    removed.remove(4);
    assert_eq!(findings(&keys(), None, &seals, &removed), [Finding::Removed { entry: 5, seal: 2 }]);

    let mut swapped = entries.clone();
    (swapped[0].id, swapped[1].id) = (2, 1);
    let reordered = |entry, sealed_as| Finding::Reordered { entry, sealed_as, tenant, seal: 1 };
    assert_eq!(findings(&keys(), None, &seals, &swapped), [reordered(2, 1), reordered(1, 2)]);

    let mut more = entries;
    more.push(entry(9, 102));
    assert_eq!(findings(&keys(), None, &seals, &more), [Finding::SlippedIn { entry: 9, tenant }]);
}

#[test]
fn seals_that_were_changed_removed_or_cut_off_are_named() {
    let (seals, entries) = log();
    let anchor = Anchor::of(&seals[1]);
    let mut changed = seals.clone();
    changed[0].digests.truncate(24);
    let finding = Finding::SealChanged { seal: 1, first_entry: 1, last_entry: 1 };
    assert_eq!(findings(&keys(), None, &changed, &entries), [finding]);

    let removed = findings(&keys(), None, &seals[1..], &entries);
    assert_eq!(removed, [Finding::SealsRemoved { first: 1, last: 1 }]);

    let cut = findings(&keys(), Some(&anchor), &seals[..1], &entries[..3]);
    assert_eq!(cut, [Finding::CutOff { seal: 2, entry: 6 }]);

    // Sealed anew by somebody with the key, after the end was cut off.
    let previous = Some((1, seals[0].seal.clone()));
    let other = keys().seal(previous, 7, seals[0].range.through, &entries[3..4], 2).expect("entries");
    let contradicted = findings(&keys(), Some(&anchor), &[seals[0].clone(), other], &entries[..4]);
    assert_eq!(contradicted, [Finding::Contradicted { seal: 2 }]);

    let stranger = keys().seal(Some((1, vec![0; 32])), 7, seals[0].range.through, &entries[3..], 2).expect("entries");
    let broken = findings(&keys(), None, &[seals[0].clone(), stranger], &entries);
    assert_eq!(broken, [Finding::ChainBroken { seal: 2 }]);
}

fn retired(id: &str, byte: u8, last_seal: i64) -> RetiredKey {
    RetiredKey { key: SealKey::new(id, &[byte; 32]), last_seal }
}

#[test]
fn a_key_is_told_by_its_name_and_missed_once() {
    let (seals, entries) = log();
    let rotated = SealKeys::new(SealKey::new("2", &[2; 32]), vec![retired("1", 1, 2)]).expect("two keys");
    assert_eq!(findings(&rotated, None, &seals, &entries), []);
    let lost = SealKeys::new(SealKey::new("2", &[2; 32]), vec![]).expect("one key");
    let finding = Finding::UnknownKey { seal: 1, key_id: "1".to_owned() };
    assert_eq!(findings(&lost, None, &seals, &entries), [finding]);
    let forged = SealKeys::new(SealKey::new("1", &[2; 32]), vec![]).expect("one key");
    assert_eq!(findings(&forged, None, &seals, &entries).len(), 2);
    assert!(SealKeys::new(SealKey::new("1", &[1; 32]), vec![retired("1", 2, 1)]).is_err());
}

/// By somebody who has got hold of it, and may write to the database as its owner.
#[test]
fn a_key_that_was_rotated_away_makes_no_seals() {
    let (seals, entries) = log();
    let rotated =
        |last_seal| SealKeys::new(SealKey::new("2", &[2; 32]), vec![retired("1", 1, last_seal)]).expect("keys");
    let out_of_turn = |seal, key: &str| Finding::KeyOutOfTurn { seal, key_id: key.to_owned() };
    assert_eq!(findings(&rotated(1), None, &seals, &entries), [out_of_turn(2, "1")]);
    assert_eq!(findings(&rotated(0), None, &seals, &entries), [out_of_turn(1, "1")], "said once");
    // Cut off, and less sealed anew than there was.
    assert_eq!(findings(&rotated(3), None, &seals, &entries), [Finding::SealsRemoved { first: 3, last: 3 }]);
    // The chain may not begin anew under it either, once the new one has made a seal.
    let previous = Some((1, seals[0].seal.clone()));
    let second = rotated(1).seal(previous, 7, seals[0].range.through, &entries[3..], 2).expect("entries");
    let chain = [seals[0].clone(), second];
    assert_eq!(findings(&rotated(1), None, &chain, &entries), []);
    assert_eq!(findings(&rotated(2), None, &chain, &entries), [out_of_turn(2, "2")]);
    let third = SealKeys::new(SealKey::new("3", &[3; 32]), vec![retired("2", 2, 2), retired("1", 1, 1)]).expect("keys");
    assert_eq!(findings(&third, None, &chain, &entries), [], "in whatever order they are written");
}
