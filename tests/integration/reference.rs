//! Reference data's own promises: a change is in memory when it returns, another node sees it soon, a key creates once,
//! and the database refuses whom it doesn't know.

use std::sync::Arc;
use std::time::Duration;

use codeccloud::clock::SystemIds;
use codeccloud::ports::{
    HoursException, IdempotencyKey, NewMember, NewService, NewStaff, NewTimeOff, Precondition, Reference,
    ReferenceError, ServiceChange, StaffChange, WorkingHours,
};
use codeccloud::postgres::{CallerPool, DatabaseRole, PostgresReference};
use codeccloud_actors::envelope::{Caller, Role};
use codeccloud_actors::ids::{ServiceId, StaffId, TenantId, UserId};
use codeccloud_actors::money::{Currency, Money};
use codeccloud_actors::reference::{LocalInterval, MemberRole};
use codeccloud_actors::time::Slot;
use jiff::civil::date;
use uuid::{Uuid, uuid};

use crate::support::Database;

const TENANT: TenantId = TenantId(uuid!("00000000-0000-4000-8000-00000000000a"));
const OWNER: Caller = Caller { user_id: UserId(uuid!("00000000-0000-4000-8000-0000000000aa")), role: Role::Owner };
const STRANGER: Caller = Caller { user_id: UserId(uuid!("00000000-0000-4000-8000-0000000000bb")), role: Role::Owner };
/// Connections for changes.
const MEMBERS: u32 = 2;
const NOBODY: StaffId = StaffId(uuid!("00000000-0000-4000-8000-0000000000ff"));

#[tokio::test]
async fn a_change_is_in_memory_when_it_returns() {
    let (_database, node) = salon().await;
    let (anna, _) = node.create_staff(TENANT, OWNER, person("Anna"), None).await.unwrap();
    let new = NewService { staff_ids: Some(vec![anna]), buffer_after_minutes: 10, ..cut() };
    let (id, replayed) = node.create_service(TENANT, OWNER, new, None).await.unwrap();
    assert!(!replayed);
    let service = node.tenant(TENANT).unwrap().services[&id].clone();
    assert_eq!((service.name.as_str(), service.duration_minutes, service.buffer_after_minutes), ("Cut", 30, 10));
    assert_eq!(service.qualified, Some([anna].into()));

    let change = ServiceChange { active: Some(false), staff_ids: Some(None), ..ServiceChange::default() };
    node.change_service(TENANT, OWNER, id, change, None).await.unwrap();
    let service = node.tenant(TENANT).unwrap().services[&id].clone();
    assert_eq!((service.active, service.qualified, service.buffer_after_minutes), (false, None, 10));
    assert_eq!(service.price, cut().price);

    let change = StaffChange { active: Some(false), ..StaffChange::default() };
    node.change_staff(TENANT, OWNER, anna, change, None).await.unwrap();
    let member = node.tenant(TENANT).unwrap().staff[&anna].clone();
    assert_eq!((member.active, member.display_name.as_str()), (false, "Anna"));
}

#[tokio::test]
async fn a_change_that_nobody_waits_for_holds_up_no_other() {
    let (database, node) = salon().await;
    let (anna, _) = node.create_staff(TENANT, OWNER, person("Anna"), None).await.unwrap();
    let (beat, _) = node.create_staff(TENANT, OWNER, person("Beat"), None).await.unwrap();
    let mut superuser = database.superuser().await;
    let held = superuser.transaction().await.unwrap();
    held.execute("SELECT FROM staff_profiles WHERE id = $1 FOR UPDATE", &[&anna.0]).await.unwrap();
    let rename =
        |id| node.change_staff(TENANT, OWNER, id, StaffChange { active: Some(false), ..Default::default() }, None);
    // As many as there are connections.
    let abandoned: Vec<_> =
        (0..MEMBERS).map(|_| tokio::time::timeout(Duration::from_millis(300), rename(anna))).collect();
    assert!(futures_util::future::join_all(abandoned).await.iter().all(Result::is_err), "they wait for the lock");
    tokio::time::timeout(Duration::from_secs(5), rename(beat)).await.expect("it needn't wait").unwrap();
    held.rollback().await.unwrap();
    assert!(node.tenant(TENANT).unwrap().staff[&anna].active, "cancelled");
}

#[tokio::test]
async fn hours_and_time_off_are_kept() {
    let (_database, node) = salon().await;
    let (anna, _) = node.create_staff(TENANT, OWNER, person("Anna"), None).await.unwrap();
    let availability = || node.tenant(TENANT).unwrap().staff[&anna].availability.clone();
    assert!(availability().weekly.is_none());

    let hours = WorkingHours { weekday: 1, start_minute: 540, end_minute: 1440 };
    node.set_working_hours(TENANT, OWNER, anna, Some(vec![hours]), None).await.unwrap();
    let monday = &availability().weekly.unwrap()[0];
    assert_eq!(*monday, [LocalInterval { start_minute: 540, end_minute: 1440 }]);
    node.set_working_hours(TENANT, OWNER, anna, None, None).await.unwrap();
    assert!(availability().weekly.is_none());

    let day = date(2030, 1, 1);
    let exception = |intervals| HoursException { date: day, intervals };
    node.set_hours_exception(TENANT, OWNER, anna, exception(Some(vec![(600, 660)])), None).await.unwrap();
    assert_eq!(availability().exceptions[&day], [LocalInterval { start_minute: 600, end_minute: 660 }]);
    node.set_hours_exception(TENANT, OWNER, anna, exception(None), None).await.unwrap();
    assert!(availability().exceptions.is_empty());

    let new = NewTimeOff { staff_id: anna, slot: slot() };
    let (id, _) = node.add_time_off(TENANT, OWNER, new, None).await.unwrap();
    assert_eq!(availability().time_off, [slot()]);
    assert_eq!(node.time_off(TENANT, anna).await.unwrap()[0].id, id);
    node.remove_time_off(TENANT, OWNER, anna, id).await.unwrap();
    assert!(availability().time_off.is_empty());
}

#[tokio::test]
async fn a_key_creates_once() {
    let (_database, node) = salon().await;
    let key = |request| IdempotencyKey { key: "key-1".to_owned(), request_hash: [request; 32] };
    let first = node.create_service(TENANT, OWNER, cut(), Some(key(1))).await.unwrap();
    let again = node.create_service(TENANT, OWNER, cut(), Some(key(1))).await.unwrap();
    assert_eq!((first.0, false, true), (again.0, first.1, again.1));
    assert_eq!(node.tenant(TENANT).unwrap().services.len(), 1);
    let other = node.create_service(TENANT, OWNER, cut(), Some(key(2))).await;
    assert_eq!(other, Err(ReferenceError::IdempotencyConflict));

    let member = |id| NewMember { user_id: UserId(id), role: Role::Staff, display_name: Some("Ben".to_owned()) };
    let key = || Some(IdempotencyKey { key: "key-2".to_owned(), request_hash: [3; 32] });
    let (ben, profile, _) = node.invite(TENANT, OWNER, member(Uuid::from_u128(1)), key()).await.unwrap();
    let again = node.invite(TENANT, OWNER, member(Uuid::from_u128(2)), key()).await;
    assert_eq!(again, Ok((ben, profile, true)), "the id drawn for the second attempt counts for nothing");
    let tenant = node.tenant(TENANT).unwrap();
    assert_eq!(tenant.members[&ben].role, MemberRole::Staff);
    assert_eq!(tenant.staff[&profile.unwrap()].user_id, Some(ben));
}

#[tokio::test]
async fn refuses_who_is_unknown_and_what_is_wrong() {
    let (_database, node) = salon().await;
    let refused = node.create_service(TENANT, STRANGER, cut(), None).await;
    assert_eq!(refused, Err(ReferenceError::Forbidden));
    let refused = node.set_working_hours(TENANT, STRANGER, NOBODY, None, None).await;
    assert_eq!(refused, Err(ReferenceError::Forbidden), "not told what is there");
    let refused = node.set_working_hours(TENANT, OWNER, NOBODY, None, None).await;
    assert_eq!(refused, Err(ReferenceError::NotFound("staff member")));
    let unknown = ServiceId(NOBODY.0);
    let refused = node.change_service(TENANT, OWNER, unknown, ServiceChange::default(), None).await;
    assert_eq!(refused, Err(ReferenceError::NotFound("service")));
    let new = NewService { staff_ids: Some(vec![NOBODY]), ..cut() };
    let refused = node.create_service(TENANT, OWNER, new, None).await;
    assert!(matches!(refused, Err(ReferenceError::Invalid { field: "staffIds", .. })), "{refused:?}");

    // One of the staff is a member, but has nobody to invite; the database itself says so.
    let ben = NewMember { user_id: UserId(Uuid::from_u128(1)), role: Role::Staff, display_name: None };
    node.invite(TENANT, OWNER, ben.clone(), None).await.unwrap();
    assert!(matches!(node.invite(TENANT, OWNER, ben, None).await, Err(ReferenceError::Conflict(_))));
    let by_ben = Caller { user_id: UserId(Uuid::from_u128(1)), role: Role::Owner };
    let another = |role| NewMember { user_id: UserId(Uuid::from_u128(2)), role, display_name: None };
    assert_eq!(node.invite(TENANT, by_ben, another(Role::Staff), None).await, Err(ReferenceError::Forbidden));
    assert!(node.tenant(TENANT).unwrap().services.is_empty(), "what is refused leaves nothing behind");
}

/// Both have seen the same; whoever comes second must not undo what the first did.
#[tokio::test]
async fn of_two_changes_of_what_was_seen_one_is_made() {
    let (_database, node) = salon().await;
    let (id, _) = node.create_service(TENANT, OWNER, cut(), None).await.unwrap();
    let rename = |name: &str| {
        let seen: Precondition = Arc::new(move |reference| reference.services[&id].name == "Cut");
        let change = ServiceChange { name: Some(name.to_owned()), ..ServiceChange::default() };
        node.change_service(TENANT, OWNER, id, change, Some(seen))
    };
    let outcomes = tokio::join!(rename("Short cut"), rename("Long cut"));
    assert!(matches!(outcomes, (Ok(()), Err(ReferenceError::Outdated)) | (Err(ReferenceError::Outdated), Ok(()))));
    assert_ne!(node.tenant(TENANT).unwrap().services[&id].name, "Cut");
}

#[tokio::test]
async fn managers_invite_but_make_no_owner() {
    let (database, node) = salon().await;
    let member = |id, role| NewMember { user_id: UserId(Uuid::from_u128(id)), role, display_name: None };
    node.invite(TENANT, OWNER, member(1, Role::Manager), None).await.unwrap();
    let manager = Caller { user_id: UserId(Uuid::from_u128(1)), role: Role::Manager };
    node.invite(TENANT, manager, member(2, Role::Staff), None).await.unwrap();
    node.invite(TENANT, manager, member(3, Role::Manager), None).await.unwrap();
    let refused = node.invite(TENANT, manager, member(4, Role::Owner), None).await;
    assert_eq!(refused, Err(ReferenceError::Forbidden));
    let again = node.invite(TENANT, manager, member(2, Role::Manager), None).await;
    assert!(matches!(again, Err(ReferenceError::Conflict(_))), "an invitation is no promotion: {again:?}");

    let revoke = "update tenant_members set revoked_at = now() where user_id = $1";
    database.superuser().await.execute(revoke, &[&Uuid::from_u128(2)]).await.unwrap();
    node.invite(TENANT, manager, member(2, Role::Manager), None).await.unwrap();
    assert_eq!(node.tenant(TENANT).unwrap().members[&UserId(Uuid::from_u128(2))].role, MemberRole::Manager);
}

#[tokio::test]
async fn other_nodes_follow() {
    let (database, node) = salon().await;
    let other = start(&database).await;
    let (id, _) = node.create_service(TENANT, OWNER, cut(), None).await.unwrap();
    eventually(|| other.tenant(TENANT).is_some_and(|tenant| tenant.services.contains_key(&id))).await;
    let delete = "update tenants set deleted_at = now()";
    let operator = database.database().connect(DatabaseRole::Operator).await.unwrap();
    operator.batch_execute(delete).await.unwrap();
    eventually(|| other.tenant(TENANT).is_none() && node.tenant(TENANT).is_none()).await;
}

async fn salon() -> (Database, Arc<PostgresReference>) {
    let database = Database::create().await;
    let operator = database.database().connect(DatabaseRole::Operator).await.unwrap();
    operator.execute("insert into tenants (id, slug, name) values ($1, 'salon', 'Salon')", &[&TENANT.0]).await.unwrap();
    let owner = "insert into tenant_members (tenant_id, user_id, role) values ($1, $2, 'owner')";
    operator.execute(owner, &[&TENANT.0, &OWNER.user_id.0]).await.unwrap();
    let node = start(&database).await;
    (database, node)
}

async fn start(database: &Database) -> Arc<PostgresReference> {
    let readers = database.pool(DatabaseRole::Reader);
    let members = CallerPool::new(&database.database(), DatabaseRole::Authenticated, MEMBERS, Duration::from_secs(5));
    let own = database.database().pool(DatabaseRole::Reader, 2, Duration::from_secs(5));
    PostgresReference::start(&database.database(), own, readers, members, Arc::new(SystemIds)).await.unwrap()
}

async fn eventually(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("within five seconds");
}

fn cut() -> NewService {
    NewService {
        name: "Cut".to_owned(),
        duration_minutes: 30,
        price: Money { currency: Currency::Chf, amount: 5_000 },
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        staff_ids: None,
    }
}

fn person(name: &str) -> NewStaff {
    NewStaff { display_name: name.to_owned(), color: "#336699".to_owned(), user_id: None }
}

fn slot() -> Slot {
    Slot::new("2030-01-01T09:00:00Z".parse().unwrap(), "2030-01-02T09:00:00Z".parse().unwrap()).unwrap()
}
