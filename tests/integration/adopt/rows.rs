//! Nothing that is there is touched, everything that follows works.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::serving::serves_its_own;
use super::{adopt, adopted, codeccloud, of_grade, text};
use crate::schema::catalogue;
use crate::support::mvp::{MvpDatabase, OwnerRights};
use crate::support::{Database, Mode};

/// Of each of the MVP's tables and partitions: how many rows, their checksum, and the file that holds them.
async fn rows(superuser: &Client) -> Vec<(String, i64, Option<String>, u32)> {
    let tables = "select c.oid::regclass::text, pg_relation_filenode(c.oid) from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and (c.oid in
            (select inhrelid from pg_inherits where inhparent = 'appointments'::regclass) or c.relname in
            ('tenants', 'tenant_members', 'staff_profiles', 'resources', 'appointment_services', 'resource_allocations',
            'products', 'product_stock', 'product_stock_movements', 'audit_log', 'outbox_events')) order by 1";
    let mut all = Vec::new();
    for row in superuser.query(tables, &[]).await.unwrap() {
        let (table, file): (String, u32) = (row.get(0), row.get(1));
        // Without the columns that we add.
        let row = "(to_jsonb(t) - '{version, moved_at, buffer_before_minutes, buffer_after_minutes, fee_waived, \
                   reason_recorded, event_id, transaction_id, cluster_id}'::text[])::text";
        let sum = format!("select count(*), md5(string_agg(md5({row}), '' order by {row})) from {table} t");
        let sum = superuser.query_one(&sum, &[]).await.unwrap();
        all.push((table, sum.get(0), sum.get(1), file));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_appointments_are_adopted_untouched_and_served() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 50_150).await;
    let superuser = database.superuser().await;
    let before = rows(&superuser).await;
    let appointments: i64 =
        before.iter().filter(|(table, ..)| table.starts_with("appointments_")).map(|(_, count, ..)| count).sum();
    assert!(appointments >= 50_000, "{appointments}");

    let document = adopted(&database);
    assert_eq!(of_grade(&document, "refuses").len() + of_grade(&document, "noted").len(), 0, "{document:#}");
    let after = rows(&superuser).await;
    let kept: Vec<_> = after.iter().filter(|(table, ..)| before.iter().any(|(name, ..)| name == table)).collect();
    assert_eq!(kept, before.iter().collect::<Vec<_>>());
    assert!(after.iter().filter(|row| !kept.contains(row)).all(|(_, count, ..)| *count == 0), "new months are empty");

    let report = &document["report"];
    assert_eq!(report["rows"]["duplicateIds"]["count"], 3);
    assert_eq!(report["rows"]["overlaps"]["count"], 2);
    assert!(report["rows"]["overlaps"]["examples"][0]["id"].is_string());
    assert!(report["rows"]["entriesWithoutTenant"].as_i64().unwrap() > 0);
    assert!(report["rows"]["entriesWithoutActor"].as_i64().unwrap() > 0);
    for place in report["rows"]["personalData"].as_array().unwrap() {
        assert!(place["count"].as_i64().unwrap() > 1_000, "{place}");
    }
    assert!(!document.to_string().contains("Muster"), "a report says how much, never what");
    let unlogged = &report["rows"]["withoutInsertEntry"];
    assert!(unlogged[0]["count"].as_i64().unwrap() > 1_000 && unlogged[1]["count"] == 0, "{unlogged}");
    for mode in [Mode::Mvp, Mode::Scale] {
        serves_its_own(&database, mode).await;
    }
}

#[tokio::test]
async fn a_second_run_does_nothing_and_a_rollback_takes_nothing_adopted() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    adopted(&database);
    let superuser = database.superuser().await;
    let before = catalogue(&superuser).await;
    let (document, holds) = adopt(&database, &[]);
    assert!(holds && document["message"].as_str().unwrap().contains("nothing to do"), "{document:#}");
    assert_eq!(document["applied"], json!([]));
    assert_eq!(catalogue(&superuser).await, before);

    let status = codeccloud(&database, &["schema", "status", "--json"]);
    let status: Vec<Value> = serde_json::from_slice(&status.stdout).unwrap();
    assert!(status[0]["adopted"] == true && status[1]["adopted"] == false && status[1]["appliedAt"].is_string());
    let rollback = codeccloud(&database, &["schema", "rollback", "--to", "0"]);
    assert!(!rollback.status.success() && text(&rollback).contains("not ours to take away"), "{}", text(&rollback));
    assert_eq!(catalogue(&superuser).await, before, "a refusal leaves everything in place");
}

#[tokio::test]
async fn what_was_added_can_be_taken_back_and_what_was_adopted_stays() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    let superuser = database.superuser().await;
    let before = rows(&superuser).await;
    adopted(&database);
    let rollback = codeccloud(&database, &["schema", "rollback", "--to", "1"]);
    assert!(rollback.status.success(), "{}", text(&rollback));
    let after = rows(&superuser).await;
    assert!(before.iter().all(|row| after.contains(row)));
    let (document, holds) = adopt(&database, &[]);
    assert!(holds && document["applied"].as_array().unwrap().len() > 5, "and up again: {document:#}");
}

/// The owner is bound by row security: the MVP's own functions would recurse, or be refused, were there no roles for them.
#[tokio::test]
async fn a_member_works_on_an_adopted_database_and_its_triggers_still_fire() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    adopted(&database);
    let superuser = database.superuser().await;
    let owners = "select string_agg(format('%s of %s', proname, proowner::regrole), ', ' order by proname) from pg_proc
        where proname in ('is_tenant_member', 'has_role_in_tenant', 'log_row_change', 'touch_tenant', 'sync_slot')";
    assert_eq!(
        superuser.query_one(owners, &[]).await.unwrap().get::<_, String>(0),
        "has_role_in_tenant of codeccloud_membership, is_tenant_member of codeccloud_membership, \
         log_row_change of codeccloud_audit, sync_slot of salon_owner, touch_tenant of codeccloud_audit"
    );
    let counted = async |sql: &str| -> i64 { superuser.query_one(sql, &[]).await.unwrap().get(0) };
    let tenant: Uuid = superuser.query_one("select id from tenants where slug = 'salon-1'", &[]).await.unwrap().get(0);
    let user = "select user_id from tenant_members where tenant_id = $1 and role = 'staff' and revoked_at is null";
    let user: Uuid = superuser.query_one(user, &[&tenant]).await.unwrap().get(0);
    let watched = [
        "select count(*) from audit_log",
        "select count(*) from outbox_events",
        "select sum(data_version)::int8 from tenants",
    ];
    let mut before = Vec::new();
    for sql in watched {
        before.push(counted(sql).await);
    }

    let member = database.owner().await;
    let claims = json!({ "sub": user, "role": "authenticated", "tenant_id": tenant }).to_string();
    member.execute("select set_config('request.jwt.claims', $1, false)", &[&claims]).await.unwrap();
    member.batch_execute("set role authenticated").await.unwrap();
    let foreign: i64 =
        member.query_one("select count(*) from appointments where tenant_id <> $1", &[&tenant]).await.unwrap().get(0);
    let own: i64 = member.query_one("select count(*) from appointments", &[]).await.unwrap().get(0);
    assert!(foreign == 0 && own > 0);
    // A year ahead, in a month that adoption has made.
    let booking = "insert into appointments (tenant_id, code, staff_id, status, slot_start, slot_end)
        select $1, 'NEW', id, 'scheduled', at, at + interval '1 hour'
        from staff_profiles, date_trunc('month', now() + interval '12 months') at limit 1";
    member.execute(booking, &[&tenant]).await.unwrap();
    let stock = "insert into product_stock_movements (tenant_id, product_id, quantity_delta, reason)
        select tenant_id, id, 5, 'delivery' from products limit 1";
    member.execute(stock, &[]).await.unwrap();
    for (sql, before) in watched.into_iter().zip(before) {
        assert_eq!(counted(sql).await, before + 2, "{sql}");
    }
    let overlap = member.execute(&booking.replace("'NEW'", "'AGAIN'"), &[&tenant]).await.unwrap_err();
    assert_eq!(overlap.code().unwrap().code(), "23P01", "the new month has its exclusion");
}

/// Whatever our migrations make on a fresh database, later ones and the server may count on.
#[tokio::test]
async fn an_adopted_database_has_all_that_a_fresh_one_has_besides_the_mvp() {
    let fresh = Database::create().await;
    let adopted_one = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    adopted(&adopted_one);
    let there: Vec<String> = catalogue(&adopted_one.superuser().await).await;
    let there: Vec<String> = there.iter().map(|object| object.replace("salon_owner", "codeccloud")).collect();
    let same_by_another_name = |object: &str| {
        let kinds = ["relation i", "relation I", "index", "constraint", "CREATE TRIGGER", "column", "grant"];
        let own_policies = ["policy members on", "policy own_rows on", "policy owners on"];
        // The MVP's own do the same, or ours differ on purpose.
        let functions = [
            "auth.",
            "current_tenant_id",
            "is_tenant_member",
            "is_tenant_owner",
            "keep_slot_bounds",
            "check_status_transition",
            "sum_stock_movement",
            "create_appointments_partition",
        ];
        kinds.iter().any(|kind| object.starts_with(kind))
            || own_policies.iter().any(|policy| object.starts_with(policy))
            || object.starts_with("function") && functions.iter().any(|name| object.contains(name))
    };
    let missing: Vec<String> = catalogue(&fresh.superuser().await)
        .await
        .into_iter()
        .filter(|object| !there.contains(object) && !same_by_another_name(object))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}
