//! Logins as hosting platforms give them.

use super::{adopt, adopted, command_for, of_grade};
use crate::support::mvp::{MvpDatabase, OwnerRights};
use crate::support::{Mode, Server, key};

pub const SECRETS: [(&str, &str); 2] = [
    ("SUPABASE_JWT_SECRET", "a secret that is long enough for a test"),
    ("VAULT_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
];

/// Books and reads on a demo salon beside the adopted ones.
pub async fn serves(database: &MvpDatabase, mode: Mode) {
    let command = || command_for(database, mode, &[]);
    let server = Server::of(command());
    server.ready().await;
    let salon = server.salon_with(command).await;
    let booking = salon.booking(0, 0, 0);
    let created = server.post(&salon, "/v1/bookings", &key(), &booking).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.json()["booking"]["id"].as_str().unwrap().to_owned();
    let read = server.get(&salon, &format!("/v1/bookings/{id}")).await;
    assert_eq!(read.json()["customer"]["firstName"], "Anna", "{}", read.text);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_row_security_binds_adopts_and_serves() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    adopted(&database);
    serves(&database, Mode::Scale).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_make_no_roles_adopts_once_an_administrator_has_made_them() {
    let database = MvpDatabase::create(OwnerRights::Nothing, 240).await;
    let (document, holds) = adopt(&database, &[]);
    assert!(!holds);
    assert!(of_grade(&document, "refuses")[0].contains("an administrator runs"), "{document:#}");

    let (document, _) = adopt(&database, &["--dry-run"]);
    let sql = document["sql"].as_str().unwrap();
    let (roles, _) = sql.split_once("-- 0001_mvp, step 1").unwrap();
    database.superuser().await.batch_execute(roles).await.unwrap();
    adopted(&database);
    serves(&database, Mode::Scale).await;
}

/// As on Supabase: there the MVP's functions work as they are, and stay whose they were.
#[tokio::test]
async fn nothing_is_handed_over_where_row_security_does_not_bind_the_owner() {
    let database = MvpDatabase::create(OwnerRights::BypassRowSecurity, 240).await;
    let (dry, _) = adopt(&database, &["--dry-run"]);
    assert_eq!(dry["report"]["rows"]["duplicateIds"]["count"], 3, "this login sees all rows as it is");
    adopted(&database);
    let owners = "select string_agg(distinct proowner::regrole::text, ', ') from pg_proc where proname in
        ('is_tenant_member', 'has_role_in_tenant', 'log_row_change', 'emit_domain_event', 'touch_tenant', 'apply_movement')";
    let owners: String = database.superuser().await.query_one(owners, &[]).await.unwrap().get(0);
    assert_eq!(owners, "salon_owner");
}
