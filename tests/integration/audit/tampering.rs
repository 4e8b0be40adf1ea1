//! By a superuser who switches the triggers off and on again.

use codeccloud::audit::{Anchor, Finding, SealKey, SealKeys};
use codeccloud::postgres::Client;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::{REGUARD, TENANT, UNGUARD, findings, keys, newest, number, seal_all, verified, write, write_past};
use crate::support::{Database, connect};

/// Three hundred entries of the past and three hundred since, sealed.
async fn sealed() -> (Database, Client) {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    write_past(&superuser, 300).await;
    for _ in 0..3 {
        write(&superuser, 100).await;
    }
    assert_eq!(seal_all(&database, keys()).await, 600);
    let (summary, found) = verified(&database, &keys(), None).await;
    assert_eq!((summary.last_seal, summary.entries, summary.unsealed, found), (4, 600, 0, vec![]));
    (database, superuser)
}

async fn tamper(superuser: &Client, change: &str) {
    superuser.batch_execute(UNGUARD).await.unwrap();
    superuser.batch_execute(change).await.unwrap();
    superuser.batch_execute(REGUARD).await.unwrap();
}

#[tokio::test]
async fn nobody_changes_an_entry_in_the_ordinary_way() {
    let (database, superuser) = sealed().await;
    let owner = database.owner().await;
    let replica = connect(&database.superuser_url()).await;
    replica.batch_execute("set session_replication_role = replica").await.unwrap();
    for client in [&superuser, &owner, &replica] {
        for table in ["audit_log", "audit_seals"] {
            for change in ["update TABLE set cluster_id = 1", "delete from TABLE", "truncate TABLE"] {
                let refusal = client.batch_execute(&change.replace("TABLE", table)).await.unwrap_err();
                assert_eq!(refusal.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{change}: {refusal:?}");
            }
        }
    }
}

/// Those that PostgreSQL brings along included, such as the one that may write all data.
#[tokio::test]
async fn no_role_of_the_database_changes_an_entry() {
    let (_database, superuser) = sealed().await;
    let roles = superuser.query("select quote_ident(rolname) from pg_roles", &[]).await.unwrap();
    assert!(roles.len() > 20, "{roles:?}");
    for role in roles.iter().map(|row| row.get::<_, String>(0)) {
        for table in ["audit_log", "audit_seals"] {
            for change in ["update TABLE set cluster_id = 1", "delete from TABLE", "truncate TABLE"] {
                let change = format!("set role {role}; {}", change.replace("TABLE", table));
                let refusal = superuser.batch_execute(&change).await.unwrap_err();
                assert_eq!(refusal.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{change}: {refusal:?}");
            }
        }
        superuser.batch_execute("reset role").await.unwrap();
    }
    let left = "select count(*) from audit_log where cluster_id is distinct from 1";
    assert_eq!(number(&superuser, left).await, 600);
}

#[tokio::test]
async fn a_changed_entry_is_named_whatever_was_changed_in_it() {
    let (database, superuser) = sealed().await;
    let tenant = Some(codeccloud_actors::ids::TenantId(TENANT));
    let mut expected = Vec::new();
    for (entry, change) in [
        (7, "after = '{\"id\": 8}'"),
        (299, "performed_at = performed_at + interval '1 microsecond'"),
        (310, "context = '{}'"),
        (599, "actor_id = gen_random_uuid()"),
    ] {
        tamper(&superuser, &format!("update audit_log set {change} where id = {entry}")).await;
        expected.push(entry);
        let changed = findings(&database).await.into_iter().map(|finding| {
            let Finding::Changed { entry, tenant: of, .. } = finding else { panic!("{finding}") };
            assert_eq!(of, tenant);
            entry
        });
        assert_eq!(changed.collect::<Vec<_>>(), expected, "{change}");
    }
}

#[tokio::test]
async fn removed_and_reordered_entries_are_named() {
    let (database, superuser) = sealed().await;
    let tenant = Some(codeccloud_actors::ids::TenantId(TENANT));
    tamper(&superuser, "delete from audit_log where id in (5, 600)").await;
    let removed = [Finding::Removed { entry: 5, seal: 1 }, Finding::Removed { entry: 600, seal: 4 }];
    assert_eq!(findings(&database).await, removed);

    let swap = "update audit_log set id = -1 where id = 320; update audit_log set id = 320 where id = 321;
        update audit_log set id = 321 where id = -1";
    tamper(&superuser, swap).await;
    let reordered = |entry, sealed_as| Finding::Reordered { entry, sealed_as, tenant, seal: 3 };
    let [first, rest @ ..] = removed;
    let expected = [vec![first, reordered(320, 321), reordered(321, 320)], rest.to_vec()].concat();
    assert_eq!(findings(&database).await, expected);
}

#[tokio::test]
async fn what_comes_in_behind_a_seal_is_named_wherever_it_claims_to_be_from() {
    let (database, superuser) = sealed().await;
    let insert = |id: i64, transaction: &str, cluster: &str| {
        format!(
            "insert into audit_log (id, event_type, entity, transaction_id, cluster_id)
             values ({id}, 'insert', 'products', {transaction}, {cluster})"
        )
    };
    let first = "(select min(transaction_id::text::bigint)::text::xid8 from audit_log)";
    let own = "(select system_identifier from pg_control_system())";
    let forged = [
        insert(-7, "null", "null"),
        insert(1_001, "null", "null"),
        insert(1_002, first, own),
        insert(1_003, "null", own),
        insert(1_004, "'99999999'", "4711"),
    ];
    for forgery in &forged {
        superuser.batch_execute(forgery).await.unwrap();
    }
    let named = async || -> Vec<i64> {
        let slipped_in = findings(&database).await.into_iter().map(|finding| {
            let Finding::SlippedIn { entry, .. } = finding else { panic!("{finding}") };
            entry
        });
        let mut named: Vec<i64> = slipped_in.collect();
        named.sort_unstable();
        named
    };
    assert_eq!(named().await, [-7, 1_001, 1_002, 1_003, 1_004]);
    assert_eq!(seal_all(&database, keys()).await, 0, "nor does it get a seal later");
    write(&superuser, 1).await;
    // The database's own upkeep has transactions too, and no entry is final while one of them is older.
    while seal_all(&database, keys()).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(named().await, [-7, 1_001, 1_002, 1_003, 1_004]);
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_found_by_the_seal_outside() {
    let (database, superuser) = sealed().await;
    let row = superuser.query_one("select seal from audit_seals order by number desc limit 1", &[]).await.unwrap();
    let seal = row.get::<_, Vec<u8>>(0).iter().map(|byte| format!("{byte:02x}")).collect();
    let anchor = Anchor { number: newest(&superuser).await, seal, entry: 600 };
    assert_eq!(verified(&database, &keys(), Some(&anchor)).await.1, []);

    let cut = "delete from audit_seals where number = 4; delete from audit_log where id > 555";
    tamper(&superuser, cut).await;
    let left = number(&superuser, "select max(id) from audit_log").await;
    assert_eq!(left, 555);
    let found = verified(&database, &keys(), Some(&anchor)).await.1;
    assert!(found.contains(&Finding::CutOff { seal: 4, entry: 600 }), "{found:?}");

    // The sealer goes on, and the number is taken again.
    write(&superuser, 5).await;
    seal_all(&database, keys()).await;
    let found = verified(&database, &keys(), Some(&anchor)).await.1;
    assert!(found.contains(&Finding::Contradicted { seal: 4 }), "{found:?}");
}

#[tokio::test]
async fn seals_are_no_way_around() {
    let (database, superuser) = sealed().await;
    tamper(&superuser, "delete from audit_seals where number = 2").await;
    assert_eq!(findings(&database).await, [Finding::SealsRemoved { first: 2, last: 2 }]);
    tamper(&superuser, "update audit_seals set digests = substr(digests, 25) where number = 1").await;
    let [Finding::SealChanged { seal: 1, first_entry: 2, .. }, Finding::SealsRemoved { .. }] =
        &findings(&database).await[..]
    else {
        panic!("{:?}", findings(&database).await)
    };

    // Who makes seals of his own lacks the key.
    superuser.batch_execute(UNGUARD).await.unwrap();
    superuser.batch_execute("truncate audit_seals; update audit_log set actor_id = null where id = 3").await.unwrap();
    superuser.batch_execute(REGUARD).await.unwrap();
    seal_all(&database, SealKeys::new(SealKey::new("1", &[2; 32]), vec![]).unwrap()).await;
    let found = findings(&database).await;
    assert!(matches!(found[0], Finding::SealChanged { seal: 1, .. }), "{found:?}");
}

#[tokio::test]
async fn a_log_without_its_guard_is_a_finding() {
    let (database, _superuser) = sealed().await;
    let owner = database.owner().await;
    owner.batch_execute("alter table audit_log disable trigger refuse_audit_change").await.unwrap();
    assert_eq!(findings(&database).await, [Finding::Unguarded { table: "audit_log".to_owned() }]);
    owner.batch_execute("drop trigger refuse_audit_change on audit_seals").await.unwrap();
    assert_eq!(findings(&database).await.len(), 2);
}

/// Each leaves a trigger of that name there, and enabled.
#[tokio::test]
async fn a_guard_that_lets_pass_is_none() {
    let (database, _superuser) = sealed().await;
    let owner = database.owner().await;
    let unguarded = |table: &str| Finding::Unguarded { table: table.to_owned() };
    let again = |events: &str| {
        format!(
            "drop trigger refuse_audit_change on audit_seals; create trigger refuse_audit_change before {events}
             execute function app_private.refuse_audit_change();
             alter table audit_seals enable always trigger refuse_audit_change"
        )
    };
    let whole = again("update or delete or truncate on audit_seals for each statement");
    for weaker in [
        "alter table audit_seals enable replica trigger refuse_audit_change".to_owned(),
        "alter table audit_seals enable trigger refuse_audit_change".to_owned(),
        again("update or delete on audit_seals for each statement"),
        again("update of key_id or delete or truncate on audit_seals for each statement"),
        again("update or delete or truncate on audit_seals for each statement when (false)"),
    ] {
        owner.batch_execute(&weaker).await.unwrap();
        assert_eq!(findings(&database).await, [unguarded("audit_seals")], "{weaker}");
        owner.batch_execute(&whole).await.unwrap();
        assert_eq!(findings(&database).await, []);
    }
    let idle = "create or replace function app_private.refuse_audit_change() returns trigger language plpgsql as
        $$ begin return null; end $$";
    owner.batch_execute(idle).await.unwrap();
    assert_eq!(findings(&database).await, [unguarded("audit_log"), unguarded("audit_seals")]);
}

#[tokio::test]
async fn a_tenants_findings_are_told_apart() {
    let finding = Finding::SlippedIn { entry: 1, tenant: Some(codeccloud_actors::ids::TenantId(TENANT)) };
    assert!(finding.may_concern(codeccloud_actors::ids::TenantId(TENANT)));
    assert!(!finding.may_concern(codeccloud_actors::ids::TenantId(Uuid::from_u128(1))));
    assert!(Finding::Removed { entry: 1, seal: 1 }.may_concern(codeccloud_actors::ids::TenantId(TENANT)));
}
