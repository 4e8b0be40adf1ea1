use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use codeccloud_actors::ids::{BookingId, CustomerId, TenantId};
use codeccloud_actors::ports::{Clock, SealedCustomer, SealedNote};
use codeccloud_actors::time::Timestamp;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use uuid::Uuid;

use super::*;
use crate::ports::{Customers, CustomersError};

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const OTHER_TENANT: TenantId = TenantId(Uuid::from_u128(2));
const ANNA: CustomerId = CustomerId(Uuid::from_u128(3));
const BEAT: CustomerId = CustomerId(Uuid::from_u128(4));
const BOOKING: BookingId = BookingId(Uuid::from_u128(5));

fn profile(first_name: &str) -> CustomerProfile {
    CustomerProfile {
        email: format!("{first_name}@example.ch"),
        phone: None,
        first_name: first_name.into(),
        last_name: "Muster".into(),
    }
}

fn master(id: &str) -> MasterKey {
    MasterKey::new(id, [id.as_bytes()[0]; 32])
}

#[derive(Default)]
struct MemoryStore {
    customers: Mutex<HashMap<CustomerRef, SealedCustomer>>,
    notes: Mutex<Vec<(TenantId, SealedNote)>>,
    reads: AtomicUsize,
    down: AtomicBool,
}

impl MemoryStore {
    /// What the journal does with a sealed row.
    fn append(&self, tenant_id: TenantId, row: Option<SealedCustomer>) -> bool {
        let Some(mut row) = row else { return true };
        let mut customers = self.customers.lock().unwrap();
        let customer = CustomerRef { tenant_id, customer_id: row.customer_id };
        let follows = customers.get(&customer).map_or(0, |stored| stored.revision);
        let fits = follows == row.revision;
        if fits {
            row.revision += 1;
            customers.insert(customer, row);
        }
        fits
    }

    fn check(&self) -> Result<(), Unreachable> {
        if self.down.load(Ordering::SeqCst) { Err(Unreachable("down".into())) } else { Ok(()) }
    }

    fn row(&self, customer_id: CustomerId) -> SealedCustomer {
        self.customers.lock().unwrap()[&CustomerRef { tenant_id: TENANT, customer_id }].clone()
    }

    fn change(&self, customer_id: CustomerId, change: impl FnOnce(&mut SealedCustomer)) {
        change(self.customers.lock().unwrap().get_mut(&CustomerRef { tenant_id: TENANT, customer_id }).unwrap());
    }
}

impl VaultStore for MemoryStore {
    fn load_customers<'a>(
        &'a self,
        wanted: &'a [CustomerRef],
    ) -> BoxFuture<'a, Result<Vec<(CustomerRef, SealedCustomer)>, Unreachable>> {
        async move {
            self.reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.check()?;
            let customers = self.customers.lock().unwrap();
            Ok(wanted.iter().filter_map(|customer| Some((*customer, customers.get(customer)?.clone()))).collect())
        }
        .boxed()
    }

    fn load_notes<'a>(
        &'a self,
        tenant_id: TenantId,
        bookings: &'a [BookingId],
    ) -> BoxFuture<'a, Result<Vec<SealedNote>, Unreachable>> {
        let notes = self.notes.lock().unwrap();
        let wanted =
            |(tenant, note): &&(TenantId, SealedNote)| *tenant == tenant_id && bookings.contains(&note.booking_id);
        let found = notes.iter().filter(wanted).map(|(_, note)| note.clone()).collect();
        async move { Ok(found) }.boxed()
    }

    fn update_customer(&self, tenant_id: TenantId, row: SealedCustomer) -> BoxFuture<'_, Result<bool, Unreachable>> {
        async move { Ok(self.append(tenant_id, Some(row))) }.boxed()
    }

    fn find_by_email<'a>(
        &'a self,
        tenant_id: TenantId,
        lookups: &'a [Bytes],
    ) -> BoxFuture<'a, Result<Vec<CustomerId>, Unreachable>> {
        let customers = self.customers.lock().unwrap();
        let wanted = customers
            .iter()
            .filter(|(customer, row)| customer.tenant_id == tenant_id && lookups.contains(&row.email_lookup));
        let found = wanted.map(|(customer, _)| customer.customer_id).collect();
        async move { Ok(found) }.boxed()
    }

    fn customers_not_under<'a>(
        &'a self,
        tenant_id: TenantId,
        master_key_id: &'a str,
    ) -> BoxFuture<'a, Result<Vec<SealedCustomer>, Unreachable>> {
        let customers = self.customers.lock().unwrap();
        let stale = customers
            .iter()
            .filter(|(customer, row)| customer.tenant_id == tenant_id && row.master_key_id != master_key_id);
        let found = stale.map(|(_, row)| row.clone()).take(2).collect();
        async move { Ok(found) }.boxed()
    }
}

#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct World {
    store: Arc<MemoryStore>,
    clock: Arc<TestClock>,
    vault: Vault,
}

impl World {
    fn new() -> World {
        let (store, clock) = (Arc::<MemoryStore>::default(), Arc::<TestClock>::default());
        let vault = node(&store, &clock, MasterKeys::new(master("a"), vec![]).unwrap());
        World { store, clock, vault }
    }

    /// A node that has nothing in memory.
    fn another(&self, current: &str, previous: &[&str]) -> Vault {
        let previous = previous.iter().map(|id| master(id)).collect();
        node(&self.store, &self.clock, MasterKeys::new(master(current), previous).unwrap())
    }

    async fn book(&self, customer_id: CustomerId, profile: &CustomerProfile) -> CustomerKey {
        book(&self.vault, &self.store, customer_id, profile).await.expect("nobody interferes")
    }

    async fn name(&self, customer_id: CustomerId) -> Option<String> {
        name(&self.vault, customer_id).await.unwrap()
    }
}

fn node(store: &Arc<MemoryStore>, clock: &Arc<TestClock>, keys: MasterKeys) -> Vault {
    Vault::new(keys, store.clone(), clock.clone())
}

/// `None`: another writer was first.
async fn book(
    vault: &Vault,
    store: &MemoryStore,
    customer_id: CustomerId,
    profile: &CustomerProfile,
) -> Option<CustomerKey> {
    let mut sealing = vault.seal_customer(TENANT, customer_id, profile).await.unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    if !store.append(TENANT, sealing.row.take()) {
        vault.forget(TENANT, customer_id);
        return None;
    }
    let key = sealing.key.clone();
    vault.committed(sealing);
    Some(key)
}

async fn name(vault: &Vault, customer_id: CustomerId) -> Result<Option<String>, VaultError> {
    let profiles = vault.profiles(TENANT, &[customer_id]).await?;
    Ok(profiles.get(&customer_id).map(|known| known.profile.clone().expect("with a profile").first_name))
}

#[tokio::test]
async fn what_is_sealed_comes_back_and_is_not_stored_in_plain() {
    let world = World::new();
    let key = world.book(ANNA, &profile("Anna")).await;
    let texts = [
        (NoteKind::Note, "Sonnenallergie"),
        (NoteKind::RescheduleReason, "Prüfung"),
        (NoteKind::CancellationReason, "krank"),
    ];
    for (kind, text) in texts {
        let note = key.seal_note(BOOKING, kind, text);
        assert!(!note.ciphertext.windows(5).any(|window| window == &text.as_bytes()[..5]));
        world.store.notes.lock().unwrap().push((TENANT, note));
    }
    let stored = world.store.row(ANNA);
    let everything = [stored.wrapped_key, stored.profile, stored.email_lookup].concat();
    for text in ["Anna", "Muster", "example"] {
        assert!(!everything.windows(text.len()).any(|window| window == text.as_bytes()));
    }

    let other = world.another("a", &[]);
    let profiles = other.profiles(TENANT, &[ANNA, BEAT]).await.unwrap();
    assert_eq!(profiles[&ANNA].profile, Some(profile("Anna")));
    assert!(!profiles.contains_key(&BEAT), "unknown");
    assert!(other.profiles(OTHER_TENANT, &[ANNA]).await.unwrap().is_empty());
    let notes = &other.notes(TENANT, &[BOOKING]).await.unwrap()[&BOOKING];
    assert_eq!(notes.note.as_deref(), Some("Sonnenallergie"));
    assert_eq!(notes.reschedule_reason.as_deref(), Some("Prüfung"));
    assert_eq!(notes.cancellation_reason.as_deref(), Some("krank"));
    let answer = key.seal_answer(b"{}");
    assert_eq!(other.open_answer(TENANT, ANNA, &answer).await.unwrap().as_deref(), Some(&b"{}"[..]));
    assert_eq!(other.open_answer(TENANT, BEAT, &answer).await, Ok(None));
}

#[test]
fn nothing_readable_in_debug_output() {
    let text = format!("{:?} {:?}", profile("Anna"), BookingNotes { note: Some("Anna".into()), ..Default::default() });
    assert_eq!(text, "CustomerProfile(***) BookingNotes(***)");
    assert_eq!(format!("{:?}", master("a")), "MasterKey(a)");
}

#[tokio::test]
async fn ciphertexts_that_were_changed_or_moved_are_refused() {
    let world = World::new();
    let anna = world.book(ANNA, &profile("Anna")).await;
    let beat = world.book(BEAT, &profile("Beat")).await;
    let cold = || world.another("a", &[]);

    let answer = anna.seal_answer(b"{}");
    assert!(beat.open_answer(&answer).is_err());
    for at in 0..answer.len() {
        let mut changed = answer.to_vec();
        changed[at] ^= 1;
        assert!(anna.open_answer(&changed).is_err(), "byte {at}");
        assert!(anna.open_answer(&answer[..at]).is_err(), "cut at {at}");
    }

    let note = anna.seal_note(BOOKING, NoteKind::Note, "text");
    assert!(anna.open_note(&SealedNote { booking_id: BookingId(Uuid::nil()), ..note.clone() }).is_err());
    assert!(anna.open_note(&SealedNote { kind: NoteKind::CancellationReason.as_str(), ..note.clone() }).is_err());
    assert!(anna.open_answer(&note.ciphertext).is_err(), "another purpose");
    assert!(anna.open_answer(&world.store.row(ANNA).profile).is_err(), "another purpose");

    let untouched = world.store.row(ANNA);
    let other = world.store.row(BEAT);
    world.store.change(ANNA, |row| row.profile = other.profile.clone());
    assert_eq!(name(&cold(), ANNA).await, Err(VaultError::Unreadable(ANNA)));
    world.store.change(ANNA, |row| row.wrapped_key = other.wrapped_key.clone());
    assert_eq!(name(&cold(), ANNA).await, Err(VaultError::Unreadable(ANNA)), "a whole row of another customer");
    world.store.append(OTHER_TENANT, Some(SealedCustomer { revision: 0, ..untouched }));
    let moved = cold().profiles(OTHER_TENANT, &[ANNA]).await;
    assert_eq!(moved.err(), Some(VaultError::Unreadable(ANNA)), "another tenant");
}

#[tokio::test]
async fn the_master_key_rotates_and_the_old_one_can_go() {
    let world = World::new();
    let customers: Vec<CustomerId> = (10..15).map(|id| CustomerId(Uuid::from_u128(id))).collect();
    for &customer in &customers {
        world.book(customer, &profile("Anna")).await;
    }
    let key = world.vault.key(TENANT, customers[0]).await.unwrap().unwrap();
    let answer = key.seal_answer(b"{}");

    let rotating = world.another("b", &["a"]);
    assert_eq!(rotating.find_by_email(TENANT, " ANNA@example.ch").await.unwrap().len(), 5, "by the old key's hash");
    let without = world.another("b", &[]);
    assert_eq!(name(&without, customers[0]).await, Err(VaultError::UnknownMasterKey("a".into())));

    let mut seen = vec![];
    let done = rotating.rewrap_all(&[TENANT, OTHER_TENANT], |rewrapped| seen.push(rewrapped.customers)).await.unwrap();
    assert_eq!((done, seen), (Rewrapped { tenants: 2, customers: 5 }, vec![2, 4, 5, 5, 5]));
    assert_eq!(name(&without, customers[0]).await.unwrap().as_deref(), Some("Anna"));
    assert_eq!(without.open_answer(TENANT, customers[0], &answer).await.unwrap().as_deref(), Some(&b"{}"[..]));
    assert_eq!(without.find_by_email(TENANT, "anna@example.ch").await.unwrap().len(), 5);
    assert!(without.find_by_email(OTHER_TENANT, "anna@example.ch").await.unwrap().is_empty());
    let lookups = |tenant_id| without.keys.email_lookups(tenant_id, "anna@example.ch");
    assert_ne!(lookups(TENANT), lookups(OTHER_TENANT), "two tenants' customers can't be matched");
}

#[tokio::test]
async fn a_row_is_written_only_when_the_profile_changed() {
    let world = World::new();
    let key = world.book(ANNA, &profile("Anna")).await;
    for vault in [&world.vault, &world.another("a", &[])] {
        let same = vault.seal_customer(TENANT, ANNA, &profile("Anna")).await.unwrap();
        assert!(same.row.is_none());
        let changed = vault.seal_customer(TENANT, ANNA, &profile("Anne")).await.unwrap();
        assert_eq!(changed.row.as_ref().map(|row| row.revision), Some(1));
        assert!(changed.key == key, "the key stays");
    }
    assert_eq!(world.name(ANNA).await.as_deref(), Some("Anna"), "nothing was committed");
    world.book(ANNA, &profile("Anne")).await;
    assert_eq!(world.name(ANNA).await.as_deref(), Some("Anne"));
    assert_eq!(world.store.row(ANNA).revision, 2);
}

#[tokio::test]
async fn a_new_customer_that_books_many_times_at_once_gets_one_key() {
    let world = World::new();
    let anna = profile("Anna");
    let keys = join_all((0..50).map(|_| world.book(ANNA, &anna))).await;
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(world.store.row(ANNA).revision, 1, "written once");
    assert_eq!(world.store.reads.load(Ordering::SeqCst), 1, "read once");
    assert!(world.vault.turns.is_empty());
}

#[tokio::test]
async fn a_sealing_that_is_not_committed_leaves_nothing_behind() {
    let world = World::new();
    let anna = profile("Anna");
    let refused = world.vault.seal_customer(TENANT, ANNA, &anna).await.unwrap();
    let next = world.vault.seal_customer(TENANT, ANNA, &anna);
    let (next, ()) = tokio::join!(next, async { drop(refused) });
    assert_eq!(next.unwrap().row.map(|row| row.revision), Some(0), "still unknown");
    assert!(world.vault.turns.is_empty());
    assert_eq!(world.vault.cache.len(), 0);
}

#[tokio::test]
async fn nobody_waits_for_a_first_booking_for_ever() {
    let mut world = World::new();
    world.vault.turns = Arc::new(Turns::new(Duration::from_millis(20)));
    let anna = profile("Anna");
    let stuck = world.vault.seal_customer(TENANT, ANNA, &anna).await.unwrap();
    assert!(book(&world.vault, &world.store, ANNA, &anna).await.is_some());
    assert!(!world.store.append(TENANT, stuck.row.clone()), "the revision decides");
    drop(stuck);
    assert!(world.vault.turns.is_empty());
}

#[tokio::test]
async fn callers_that_ask_during_a_read_are_read_for_together() {
    let world = World::new();
    let many: Vec<CustomerId> = (100..200).map(|id| CustomerId(Uuid::from_u128(id))).collect();
    for &customer in &many {
        world.book(customer, &profile("Anna")).await;
    }
    world.store.reads.store(0, Ordering::SeqCst);
    let cold = world.another("a", &[]);
    let names = join_all(many.iter().map(|&customer| name(&cold, customer))).await;
    assert!(names.iter().all(|name| *name == Ok(Some("Anna".into()))));
    assert!(world.store.reads.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn a_reader_that_goes_away_lets_nobody_down() {
    let world = World::new();
    world.book(ANNA, &profile("Anna")).await;
    let cold = world.another("a", &[]);
    let mut calls: Vec<_> = [BEAT, BEAT, BEAT, ANNA].map(|customer| Box::pin(name(&cold, customer))).into();
    assert!(calls.iter_mut().all(|call| call.now_or_never().is_none()), "two read, two wait");
    drop(calls.remove(0));
    let (mut third, fourth) = (calls.remove(1), calls.remove(1));
    assert!((&mut third).now_or_never().is_none(), "it reads for the fourth, too");
    drop(third);
    assert_eq!(fourth.await, Ok(Some("Anna".into())));
}

#[tokio::test]
async fn changes_of_another_node_are_noticed() {
    let world = World::new();
    world.book(ANNA, &profile("Anna")).await;
    let other = world.another("a", &[]);
    book(&other, &world.store, ANNA, &profile("Anne")).await.unwrap();

    assert!(book(&world.vault, &world.store, ANNA, &profile("Annie")).await.is_none(), "a conflict");
    assert!(book(&world.vault, &world.store, ANNA, &profile("Annie")).await.is_some(), "known since then");

    assert_eq!(name(&other, ANNA).await.unwrap().as_deref(), Some("Anne"));
    world.clock.0.store(CACHE_FRESH_MS, Ordering::SeqCst);
    assert_eq!(name(&other, ANNA).await.unwrap().as_deref(), Some("Annie"));
    world.store.customers.lock().unwrap().clear();
    world.clock.0.store(2 * CACHE_FRESH_MS, Ordering::SeqCst);
    assert_eq!(name(&other, ANNA).await, Ok(None), "erased");
    assert_eq!(other.cache.len(), 0);
}

#[tokio::test]
async fn profiles_are_still_read_from_memory_while_the_store_is_down() {
    let world = World::new();
    world.book(ANNA, &profile("Anna")).await;
    world.clock.0.store(CACHE_FRESH_MS, Ordering::SeqCst);
    world.store.down.store(true, Ordering::SeqCst);
    assert_eq!(world.name(ANNA).await.as_deref(), Some("Anna"));
    let page = world.vault.profiles(TENANT, &[ANNA, BEAT]).await.unwrap();
    assert_eq!(Vec::from_iter(page.keys()), [&ANNA], "who was never read leaves the others there");
    let noted = [BOOKING];
    assert!(world.vault.cancellation_reasons(TENANT, &noted).await.unwrap().is_empty());
    let unreachable = VaultError::Unreachable(Unreachable("down".into()));
    assert!(matches!(Customers::current(&world.vault, TENANT, ANNA).await, Err(CustomersError::Unavailable(_))));
    assert_eq!(world.vault.seal_customer(TENANT, ANNA, &profile("Anna")).await.err(), Some(unreachable));
}

#[tokio::test]
async fn a_change_names_the_revision_that_it_follows() {
    let world = World::new();
    let update =
        async |name, revision| world.vault.update_profile(TENANT, ANNA, &profile(name), revision).await.unwrap();
    assert_eq!(update("Anne", 1).await, ProfileUpdate::UnknownCustomer);
    world.book(ANNA, &profile("Anna")).await;
    assert_eq!(world.vault.current(TENANT, ANNA).await.unwrap().unwrap().revision, 1);
    assert_eq!(update("Anne", 1).await, ProfileUpdate::Done { revision: 2 });
    assert_eq!(update("Annie", 1).await, ProfileUpdate::Outdated);
    assert_eq!(update("Anne", 2).await, ProfileUpdate::Done { revision: 2 });
    assert_eq!(world.name(ANNA).await.as_deref(), Some("Anne"));
}

#[tokio::test]
async fn the_cache_is_bounded_and_keeps_what_is_used() {
    let world = World::new();
    world.book(ANNA, &profile("Anna")).await;
    let anna = CustomerRef { tenant_id: TENANT, customer_id: ANNA };
    let known = world.vault.cache.any(anna).unwrap();
    let cache = Cache::new(10, CACHE_FRESH_MS);
    cache.put(anna, known.clone(), Timestamp::default());
    for id in 100..200 {
        let customer_id = CustomerId(Uuid::from_u128(id));
        cache.put(CustomerRef { tenant_id: TENANT, customer_id }, known.clone(), Timestamp::default());
        assert!(cache.any(anna).is_some());
        assert!(cache.len() <= 11);
    }
}

#[test]
fn a_master_key_is_read_as_it_is_written() {
    let text = MasterKey::generate_text("2030");
    let key: MasterKey = text.parse().unwrap();
    assert_eq!(key.id(), "2030");
    assert_eq!(MasterKeys::new(key.clone(), vec![key]).err(), Some(MasterKeyError::SameId));
    for wrong in ["", "2030", ":00", "2030:00", &text[1..4], &text.replace(':', "")] {
        assert_eq!(wrong.parse::<MasterKey>().err(), Some(MasterKeyError::Malformed), "{wrong}");
    }
}
