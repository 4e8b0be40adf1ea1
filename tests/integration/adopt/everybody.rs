//! Policies that hold for every role, ours too.

use serde_json::json;

use super::adopted;
use super::owners::serves;
use crate::support::Mode;
use crate::support::mvp::{MvpDatabase, OwnerRights, Variation};

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_name_no_role_are_in_nobodys_way() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    database.vary(Variation::PoliciesForEverybody).await;
    adopted(&database);
    let owner = database.owner().await;
    let claims =
        json!({ "sub": uuid::Uuid::from_u128(1), "role": "authenticated", "tenant_id": uuid::Uuid::from_u128(2) });
    owner.execute("select set_config('request.jwt.claims', $1, false)", &[&claims.to_string()]).await.unwrap();
    let readable = "select r.rolname::text, c.oid::regclass::text
        from pg_roles r cross join pg_class c
        where r.rolname like 'codeccloud\\_%' and not r.rolcanlogin and c.relnamespace = 'public'::regnamespace
            and c.relkind in ('r', 'p') and c.relrowsecurity and has_table_privilege(r.oid, c.oid, 'select') order by 1, 2";
    let readable = owner.query(readable, &[]).await.unwrap();
    assert!(readable.iter().any(|row| row.get::<_, &str>(0) == "codeccloud_sealer"));
    for row in readable {
        let (role, table): (&str, &str) = (row.get(0), row.get(1));
        let read = format!("set role {role}; select from {table} limit 1; reset role");
        owner.batch_execute(&read).await.unwrap_or_else(|error| panic!("{role} reads {table}: {error:?}"));
    }
    serves(&database, Mode::Scale).await;
}
