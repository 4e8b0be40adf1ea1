use codeccloud::postgres::adoption::{self, Grade, Standing};
use serde_json::Value;
use tokio_postgres::Client;

use super::{adopt, adopted, of_grade};
use crate::schema::catalogue;
use crate::support::Database;
use crate::support::mvp::{MvpDatabase, OwnerRights, Variation};

#[tokio::test]
async fn our_own_tables_are_what_the_description_says() {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    let differences = adoption::differences(&owner).await.unwrap();
    let (fine, other): (Vec<_>, Vec<_>) = differences.into_iter().partition(|one| one.grade == Grade::Fine);
    assert!(other.is_empty(), "{other:#?}");
    assert!(fine.iter().all(|one| !one.text.contains("default")), "{fine:#?}");
    let survey = adoption::survey(&mut owner).await.unwrap();
    assert!(survey.standing == Standing::Ours && survey.is_refused());
}

async fn varied(variation: Variation) -> (MvpDatabase, Value) {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    database.vary(variation).await;
    let document = adopted(&database);
    (database, document)
}

#[tokio::test]
async fn an_extra_column_is_fine() {
    let (_database, document) = varied(Variation::ExtraColumn).await;
    assert_eq!(of_grade(&document, "fine"), ["appointments.source_channel: a column of the deployment's own"]);
    assert!(of_grade(&document, "noted").is_empty());
}

#[tokio::test]
async fn a_missing_index_is_noted() {
    let (_database, document) = varied(Variation::MissingIndex).await;
    assert_eq!(of_grade(&document, "noted"), ["appointments: nothing keeps (tenant_id, slot_start, code) unique"]);
}

#[tokio::test]
async fn a_disabled_trigger_is_noted_and_stays_as_it_is() {
    let (database, document) = varied(Variation::DisabledTrigger).await;
    let noted = of_grade(&document, "noted");
    assert_eq!(
        noted,
        [
            "products: the trigger on_products_audit is disabled",
            "products: no row trigger writes audit_log on insert, update, delete",
        ]
    );
    assert_eq!(document["report"]["disabledTriggers"], serde_json::json!(["on_products_audit on products"]));
    let state = "select tgenabled::text from pg_trigger where tgname = 'on_products_audit'";
    assert_eq!(database.superuser().await.query_one(state, &[]).await.unwrap().get::<_, String>(0), "D");
}

#[tokio::test]
async fn a_missing_month_is_listed_and_made() {
    let (database, document) = varied(Variation::MissingMonth).await;
    let months = document["report"]["missingMonths"].as_array().unwrap();
    assert_eq!(months.len(), 1, "{months:?}");
    let partition = format!("appointments_{}", months[0].as_str().unwrap().replace('-', ""));
    let made = "select relrowsecurity and relforcerowsecurity and relispartition from pg_class where relname = $1";
    assert!(database.superuser().await.query_one(made, &[&partition]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn a_dry_run_prints_the_statements_and_changes_nothing() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    let superuser = database.superuser().await;
    let before = catalogue(&superuser).await;
    let (document, holds) = adopt(&database, &["--dry-run"]);
    assert!(holds, "{document:#}");
    let sql = document["sql"].as_str().unwrap();
    for part in [
        "create role codeccloud_reader nologin",
        "create unique index concurrently staff_profiles_tenant_key on public.staff_profiles (tenant_id, id)",
        "alter table public.staff_profiles add constraint staff_profiles_tenant_key unique using index",
        "create table event_store",
    ] {
        assert!(sql.contains(part), "{part}");
    }
    assert!(document["report"]["rows"].is_null(), "this login sees no rows as it is");
    assert_eq!(catalogue(&superuser).await, before);
}

/// Nothing is begun, and what to mend is named.
async fn refuses(damage: &str, expected: &str) {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    let superuser = database.superuser().await;
    superuser.batch_execute(damage).await.unwrap();
    let before = catalogue(&superuser).await;
    let (document, holds) = adopt(&database, &[]);
    assert!(!holds && document["outcome"] == "refused", "{document:#}");
    assert_eq!(of_grade(&document, "refuses"), [expected]);
    assert_eq!(catalogue(&superuser).await, before);
}

#[tokio::test]
async fn a_column_of_another_type_refuses() {
    refuses(
        "alter table products alter column price_cents type numeric",
        "products.price_cents: its type is numeric, not integer",
    )
    .await;
}

#[tokio::test]
async fn a_column_that_every_row_must_fill_refuses() {
    let text = "tenants.region: a column of the deployment's own that every new row must fill; give it a default";
    refuses("alter table tenants add column region text not null default 'ch'; alter table tenants alter region drop default", text)
        .await;
}

#[tokio::test]
async fn a_table_without_row_security_refuses() {
    let text = "resources: row security is off: alter table public.resources enable row level security";
    refuses("alter table resources disable row level security", text).await;
}

#[tokio::test]
async fn a_table_that_has_the_name_of_one_of_ours_refuses() {
    let text = "tenant_settings: 0002_reference makes a table of that name";
    refuses("create table tenant_settings (theme text)", text).await;
}

#[tokio::test]
async fn a_missing_table_refuses() {
    refuses("drop table outbox_events", "outbox_events: the table is missing").await;
}

#[tokio::test]
async fn a_database_that_is_no_mvp_is_refused() {
    let database = Database::create().await;
    let superuser: Client = database.superuser().await;
    superuser.batch_execute("create database other owner codeccloud").await.unwrap();
    let mut other = crate::support::connect(&database.url().replacen("/codeccloud", "/other", 1)).await;
    let survey = adoption::survey(&mut other).await.unwrap();
    assert!(survey.standing == Standing::NoMvp && survey.is_refused());
}

#[tokio::test]
async fn a_server_does_not_start_on_what_is_not_adopted() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    let output = super::codeccloud(&database, &["schema", "apply"]);
    assert!(!output.status.success() && super::text(&output).contains("schema adopt"), "{}", super::text(&output));
}
