//! What a prompt with one of our roles can do by our functions: no more than its role may.

use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use uuid::{Uuid, uuid};

use crate::support::Database;

const OWN: Uuid = uuid!("00000000-0000-4000-8000-00000000000a");
const FOREIGN: Uuid = uuid!("00000000-0000-4000-8000-00000000000b");
const MEMBER: Uuid = uuid!("00000000-0000-4000-8000-0000000000aa");
const THING: &str = "00000000-0000-4000-8000-0000000000cc";

/// Two tenants, the first with a member.
async fn tenants() -> Database {
    let database = Database::create().await;
    let sql = format!(
        "INSERT INTO tenants (id, slug, name) VALUES ('{OWN}', 'own', 'Own'), ('{FOREIGN}', 'foreign', 'Foreign');
         INSERT INTO tenant_members (tenant_id, user_id, role) VALUES ('{OWN}', '{MEMBER}', 'owner')"
    );
    database.superuser().await.batch_execute(&sql).await.unwrap();
    database
}

/// On behalf of the member, in a tenant.
async fn acting(client: &Client, tenant: Uuid) {
    let claims = json!({ "sub": MEMBER, "role": "authenticated", "tenant_id": tenant }).to_string();
    client.execute("SELECT set_config('request.jwt.claims', $1, false)", &[&claims]).await.unwrap();
}

async fn refusal(client: &Client, sql: &str) -> Option<String> {
    client.batch_execute(sql).await.err().map(|error| error.code().unwrap().code().to_owned())
}

#[tokio::test]
async fn functions_that_see_more_than_their_callers_serve_members_only() {
    let database = tenants().await;
    let member = database.owner().await;
    member.batch_execute("SET ROLE authenticated").await.unwrap();
    acting(&member, OWN).await;
    let minutes = |tenant| {
        format!(
            "SET codeccloud.tenant_ids = '{{{tenant}}}'; \
             SELECT app_private.note_working_minutes('{{{tenant}}}', '{{{THING}}}', '{{2031-06-03}}', '{{480}}')"
        )
    };
    let busy = format!("SELECT * FROM app_private.busy_slots('{{{THING}}}', '2031-06-03', '2031-06-04')");
    let lock = format!("SELECT app_private.lock_staff('{THING}', '2031-06-03', '2031-06-04', '{THING}', false)");
    for sql in [&busy, &lock, &minutes(OWN)] {
        assert_eq!(refusal(&member, sql).await, None, "{sql}");
    }
    let refused = Some(SqlState::INSUFFICIENT_PRIVILEGE.code().to_owned());
    assert_eq!(refusal(&member, &minutes(FOREIGN)).await, refused, "a tenant that it has only named");

    let superuser = database.superuser().await;
    superuser.batch_execute("UPDATE tenant_members SET revoked_at = now()").await.unwrap();
    for sql in [&busy, &lock, &minutes(OWN)] {
        assert_eq!(refusal(&member, sql).await, refused, "{sql}");
    }
    // Nor is one whose role comes with the login, rather than being set.
    superuser.batch_execute("CREATE ROLE somebody LOGIN IN ROLE authenticated").await.unwrap();
    let somebody = database.superuser().await;
    somebody.batch_execute("SET SESSION AUTHORIZATION somebody").await.unwrap();
    acting(&somebody, OWN).await;
    for sql in [&busy, &lock, &minutes(OWN)] {
        assert_eq!(refusal(&somebody, sql).await, refused, "{sql}");
    }
}

#[tokio::test]
async fn whatever_takes_turns_does_so_within_its_tenant() {
    let database = tenants().await;
    let (one, other) = (database.owner().await, database.owner().await);
    for client in [&one, &other] {
        client.batch_execute("SET ROLE codeccloud_service; SET lock_timeout = '300ms'").await.unwrap();
    }
    for lock in [
        format!("SELECT app_private.lock_staff('{THING}', '2031-06-03', '2031-06-04', '{THING}', true)"),
        format!("SELECT app_private.lock_account('{THING}')"),
        format!("SELECT app_private.lock_stock('{THING}')"),
    ] {
        acting(&one, OWN).await;
        one.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
        acting(&other, FOREIGN).await;
        assert_eq!(refusal(&other, &lock).await, None, "{lock}");
        acting(&other, OWN).await;
        let waits = Some(SqlState::LOCK_NOT_AVAILABLE.code().to_owned());
        assert_eq!(refusal(&other, &lock).await, waits, "{lock}");
        one.batch_execute("COMMIT").await.unwrap();
    }
}

#[tokio::test]
async fn nobody_writes_rows_past_a_stage_or_unrecorded() {
    let database = tenants().await;
    let superuser = database.superuser().await;
    let journal = database.owner().await;
    journal.batch_execute("SET ROLE codeccloud_journal").await.unwrap();
    let entry = |version: u32| {
        let of = [
            ("p_metadata", r#"array['{"source": "prompt"}'::jsonb]"#.to_owned()),
            ("p_ledger_version", format!("array[{version}]")),
            ("p_ledger_kind", "array['points_adjusted']".to_owned()),
            ("p_ledger_id", "array[gen_random_uuid()]".to_owned()),
            ("p_ledger_points", "array[5]".to_owned()),
            ("p_ledger_booking", "array[null::uuid]".to_owned()),
            ("p_ledger_reference", "array[null::uuid]".to_owned()),
            ("p_ledger_expires", "array[null::timestamptz]".to_owned()),
            ("p_ledger_created", "array[now()]".to_owned()),
            ("p_ledger_balance", "array[null::bigint]".to_owned()),
            ("p_ledger_state", "array[null::jsonb]".to_owned()),
            ("p_ledger_metadata", "array[1]".to_owned()),
        ];
        let ids = ["p_tenants", "p_ledger_tenant"].map(|name| (name, format!("array['{OWN}'::uuid]")));
        let customer = ("p_ledger_customer", format!("array['{THING}'::uuid]"));
        of.into_iter().chain(ids).chain([customer]).collect::<Vec<_>>()
    };
    let write = write_rows(&superuser, &entry(1)).await;
    assert_eq!(refusal(&journal, &write).await.as_deref(), Some("CC003"), "rows are not the journal's at `mvp`");

    let stage = format!("INSERT INTO tenant_stages (tenant_id, stage) VALUES ('{OWN}', 'scale')");
    superuser.batch_execute(&stage).await.unwrap();
    let recorded = async || -> i64 {
        let sql = "SELECT count(*) FROM audit_log WHERE entity = 'loyalty_ledger'";
        superuser.query_one(sql, &[]).await.unwrap().get(0)
    };
    assert_eq!(refusal(&journal, &write).await, None);
    assert_eq!(recorded().await, 1);
    journal.batch_execute("SET codeccloud.rebuilding = 'on'").await.unwrap();
    let write = write_rows(&superuser, &entry(2)).await;
    assert_eq!((refusal(&journal, &write).await, recorded().await), (None, 2), "nothing is being made anew");
    superuser.batch_execute("UPDATE tenant_stages SET rows_complete = false").await.unwrap();
    let write = write_rows(&superuser, &entry(3)).await;
    assert_eq!((refusal(&journal, &write).await, recorded().await), (None, 2), "now it is");
}

/// A call with these arguments; all others are empty.
async fn write_rows(superuser: &Client, arguments: &[(&str, String)]) -> String {
    let sql = "SELECT name, format_type(type, NULL) FROM pg_proc, unnest(proargnames, proargtypes::oid[]) AS a (name, type) \
               WHERE proname = 'write_rows_of_append'";
    let rows = superuser.query(sql, &[]).await.unwrap();
    let all = rows.iter().map(|row| {
        let (name, kind): (&str, &str) = (row.get(0), row.get(1));
        let given = arguments.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str());
        format!("{name} => {}::{kind}", given.unwrap_or("'{}'"))
    });
    format!("SELECT app_private.write_rows_of_append({})", all.collect::<Vec<_>>().join(", "))
}
