//! The roles that commands run as, by the claims of one tenant: tables and functions that see more than their callers give
//! nothing of another.

use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::schema::{FOREIGN, MEMBER, OWN, STRANGER, fill, refuses_foreign_rows, seen, tenant_tables};
use crate::support::Database;

/// A customer here is the person whose id the rows of [`fill`] have: the tenant's own.
async fn acting(database: &Database, role: &str) -> Client {
    let client = database.owner().await;
    let user = if role == "codeccloud_customer" { OWN } else { MEMBER };
    let claims = json!({ "sub": user, "role": "authenticated", "tenant_id": OWN });
    client.execute("select set_config('request.jwt.claims', $1, false)", &[&claims.to_string()]).await.unwrap();
    client.batch_execute(&format!("set role {role}")).await.unwrap();
    client
}

async fn filled() -> (Database, Client) {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    fill(&superuser, OWN, MEMBER).await;
    fill(&superuser, FOREIGN, STRANGER).await;
    (database, superuser)
}

#[tokio::test]
async fn those_who_act_for_customers_reach_no_row_of_a_foreign_tenant() {
    let (database, superuser) = filled().await;
    for (role, own) in [("codeccloud_service", "appointments"), ("codeccloud_customer", "loyalty_accounts")] {
        let client = acting(&database, role).await;
        assert!(seen(&client, own, OWN).await > 0, "{role} does its work");
        for table in tenant_tables(&superuser).await {
            refuses_foreign_rows(&superuser, &client, &table).await;
        }
    }
}

/// Of the own salon: what is another customer's, or nobody's, is neither seen nor changed.
#[tokio::test]
async fn a_customer_reaches_no_row_of_another_customer() {
    let (database, superuser) = filled().await;
    let two_customers = format!(
        "update appointments set customer_id = case when slot_start < now() then '{OWN}'::uuid else '{MEMBER}' end
             where tenant_id = '{OWN}';
         insert into loyalty_accounts (tenant_id, customer_id, version, balance, state)
             values ('{OWN}', '{MEMBER}', 1, 5, '{{}}');
         insert into loyalty_ledger (tenant_id, customer_id, version, id, kind, points)
             values ('{OWN}', '{MEMBER}', 1, gen_random_uuid(), 'points_accrued', 5)"
    );
    superuser.batch_execute(&two_customers).await.unwrap();
    let customer = acting(&database, "codeccloud_customer").await;
    for table in ["appointments", "loyalty_accounts", "loyalty_ledger"] {
        let own = format!("select count(*) from {table} where tenant_id = $1 and customer_id = $1");
        let own: i64 = superuser.query_one(&own, &[&OWN]).await.unwrap().get(0);
        let all: i64 = customer.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get(0);
        assert!(own > 0 && all == own, "{table}: {all} seen, {own} of them the own ones");
        for change in
            ["update {} set tenant_id = tenant_id where customer_id = $1", "delete from {} where customer_id = $1"]
        {
            let change = change.replace("{}", table);
            match customer.execute(&change, &[&MEMBER]).await {
                Ok(rows) => assert_eq!(rows, 0, "{change}"),
                Err(error) => assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{change}: {error:?}"),
            }
        }
    }
}

/// The outbox is for all tenants, and so is whoever answers who is a member: of each they have what that takes, no more.
#[tokio::test]
async fn those_who_serve_all_tenants_change_nothing_but_what_is_theirs() {
    let (database, superuser) = filled().await;
    let theirs = [
        (
            "codeccloud_outbox",
            &[
                "app_private.outbox_finished",
                "outbox_deliveries",
                "outbox_bookings",
                "outbox_events",
                "webhook_endpoints",
            ][..],
        ),
        ("codeccloud_membership", &["tenant_members"]),
        ("codeccloud_reader", &[]),
        ("codeccloud_sealer", &[]),
    ];
    for (role, theirs) in theirs {
        let client = acting(&database, role).await;
        for table in tenant_tables(&superuser).await.iter().filter(|table| !theirs.contains(&table.as_str())) {
            let delete = format!("delete from {table} where tenant_id = $1");
            let change = format!("update {table} set tenant_id = tenant_id where tenant_id = $1");
            for change in [delete, change] {
                let refusal = client.execute(&change, &[&FOREIGN]).await.expect_err(&change);
                assert_eq!(refusal.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{role}: {change}: {refusal:?}");
            }
        }
        let claims = json!({ "tenant_id": OWN }).to_string();
        client.execute("select set_config('request.jwt.claims', $1, false)", &[&claims]).await.unwrap();
        let invited =
            client.execute("update tenant_members set role = 'owner' where tenant_id = $1", &[&FOREIGN]).await;
        assert!(invited.map_or(true, |rows| rows == 0), "{role} changed members of a foreign tenant");
    }
}

/// Calls that name what is the foreign tenant's: refused, or answered as if it were not there.
#[tokio::test]
async fn functions_with_their_owners_rights_give_nothing_of_a_foreign_tenant() {
    let (database, superuser) = filled().await;
    let month = "date_trunc('month', now(), 'UTC')";
    // That a person of another salon is busy, or a booking there, is not told by what the call returns.
    let silent = [
        format!("select count(*) from app_private.busy_slots(array['{FOREIGN}']::uuid[], {month}, {month} + interval '1 year')"),
        format!("select count(*) from app_private.find_appointment('{FOREIGN}', '{FOREIGN}')"),
        format!(
            "select case when app_private.lock_staff('{FOREIGN}', {month}, {month} + interval '1 month', gen_random_uuid(), false)
                then 0 else 1 end::bigint"
        ),
    ];
    let refused = [
        format!(
            "select app_private.note_working_minutes(array['{FOREIGN}']::uuid[], array['{FOREIGN}']::uuid[],
            array[current_date], array[5])"
        ),
        format!("select app_private.invite_member('{FOREIGN}', '{MEMBER}', 'owner')"),
        format!("select app_private.claim_idempotency_key('{FOREIGN}', 'other', '{OWN}', '', '')"),
        format!("select app_private.replay_webhook_delivery('{FOREIGN}', '{FOREIGN}', '{FOREIGN}')"),
        format!("select app_private.recount_totals('{FOREIGN}')"),
        format!("select app_private.note_bookings('{FOREIGN}')"),
    ];
    for role in ["authenticated", "codeccloud_service", "codeccloud_customer"] {
        let client = acting(&database, role).await;
        for call in &silent {
            match client.query_one(call, &[]).await {
                Ok(row) => assert_eq!(row.get::<_, i64>(0), 0, "{role}: {call}"),
                Err(error) => {
                    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{role}: {call}: {error:?}")
                }
            }
        }
        for call in &refused {
            let refusal = client.query(call, &[]).await.map(|_| ()).expect_err(call);
            assert_eq!(refusal.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{role}: {call}: {refusal:?}");
        }
    }
    // Whom the server does not vouch for, a member, enters no tenant of others, and settles nothing there.
    let member = acting(&database, "authenticated").await;
    let foreign = json!({ "sub": MEMBER, "role": "authenticated", "tenant_id": FOREIGN });
    for call in [
        format!("select app_private.enter('{FOREIGN}', '{foreign}', null)"),
        format!(
            "select set_config('request.jwt.claims', '{foreign}', true), app_private.settle('k', '{OWN}', '', 201::smallint, '',
                null, null, null, null, null, null, null, null, null, null, null)"
        ),
    ] {
        let refusal = member.query(&call, &[]).await.map(|_| ()).expect_err(&call);
        assert_eq!(refusal.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{call}: {refusal:?}");
    }
    let keys = "select count(*) from idempotency_keys where key in ('k', 'other')";
    assert_eq!(superuser.query_one(keys, &[]).await.unwrap().get::<_, i64>(0), 0);
}
