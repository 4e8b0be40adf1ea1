use codeccloud::postgres::adoption::{self, Grade, Standing};
use reqwest::Method;
use serde_json::json;
use tokio_postgres::Client;

use super::owners::serves;
use super::serving::serves_its_own;
use super::{adopt, adopted, command_for, of_grade};
use crate::schema::catalogue;
use crate::support::mvp::{MvpDatabase, OwnerRights, Variation};
use crate::support::{Database, Mode, Server, key};

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

/// All at once: none of them hides another.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_deployment_has_otherwise_is_said_and_left_as_it_is() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 1_200).await;
    for variation in [
        Variation::ExtraColumn,
        Variation::MissingIndex,
        Variation::DisabledTrigger,
        Variation::MissingMonth,
        Variation::RenamedSequences,
    ] {
        database.vary(variation).await;
    }
    let document = adopted(&database);
    assert_eq!(of_grade(&document, "fine"), ["appointments.source_channel: a column of the deployment's own"]);
    let mut noted = of_grade(&document, "noted");
    noted.sort();
    assert_eq!(
        noted,
        [
            "appointments: nothing keeps (tenant_id, slot_start, code) unique",
            "products: no row trigger writes audit_log on insert, update, delete",
            "products: the trigger on_products_audit is disabled",
        ]
    );
    let report = &document["report"];
    assert_eq!(report["disabledTriggers"], json!(["on_products_audit on products"]));
    let months = report["missingMonths"].as_array().unwrap();
    assert_eq!(months.len(), 1, "{months:?}");

    let superuser = database.superuser().await;
    let state = "select tgenabled::text from pg_trigger where tgname = 'on_products_audit'";
    assert_eq!(superuser.query_one(state, &[]).await.unwrap().get::<_, String>(0), "D");
    let partition = format!("appointments_{}", months[0].as_str().unwrap().replace('-', ""));
    let made = "select relrowsecurity and relforcerowsecurity and relispartition from pg_class where relname = $1";
    assert!(
        superuser.query_one(made, &[&partition]).await.unwrap().get::<_, bool>(0),
        "a month that was missing is made"
    );
    for mode in [Mode::Mvp, Mode::Scale] {
        serves(&database, mode).await;
        serves_its_own(&database, mode).await;
        records_what_the_deployment_does(&database, mode).await;
        // The next server brings along salons in its own mode.
        let others = "update tenants set slug = slug || '-' || id where slug in ('salon-aare', 'atelier-leman')";
        superuser.batch_execute(others).await.unwrap();
    }
}

/// Of a product nothing goes into the audit log, since the deployment has switched that off; all else is recorded.
async fn records_what_the_deployment_does(database: &MvpDatabase, mode: Mode) {
    let command = || command_for(database, mode, &[]);
    let server = Server::of(command());
    server.ready().await;
    let superuser = database.superuser().await;
    for slug in ["salon-1", "salon-aare"] {
        let salon = server.salon_by(command, slug).await;
        let owner = server.member_by(command, &salon, "owner").await;
        let made = key();
        let new = json!({ "sku": made, "name": "Brush", "price": { "currency": "CHF", "amount": 2_450 } });
        let created = server.post(&owner, "/v1/products", &key(), &new).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let id = created.json()["id"].as_str().unwrap().to_owned();
        let change = json!({ "name": "Comb" });
        let path = format!("/v1/products/{id}");
        let changed = server.send(Method::PATCH, &owner, &path, None, Some(&change)).await.unwrap();
        assert_eq!(changed.status, 200, "{}", changed.text);
        let received = server.post(&owner, &format!("{path}/receive"), &key(), &json!({ "quantity": 3 })).await;
        assert_eq!(received.status, 200, "{}", received.text);
        let told = "select array[
                (select count(*) from audit_log where entity_id = $1),
                (select count(*) from outbox_events where aggregate = 'products' and aggregate_id::text = $1),
                (select count(*) from audit_log where entity = 'product_stock_movements' and after ->> 'product_id' = $1),
                (select count(*) from outbox_events where aggregate = 'product_stock_movements'
                    and payload -> 'row' ->> 'product_id' = $1)]";
        let told: Vec<i64> = superuser.query_one(told, &[&id]).await.unwrap().get(0);
        assert_eq!(told, [0, 2, 1, 1], "at {slug}");
    }
    server.stop();
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

#[tokio::test]
async fn a_database_that_is_no_mvp_is_refused() {
    let database = Database::create().await;
    let superuser: Client = database.superuser().await;
    superuser.batch_execute("create database other owner codeccloud").await.unwrap();
    let mut other = crate::support::connect(&format!("{}/other", database.url().rsplit_once('/').unwrap().0)).await;
    let survey = adoption::survey(&mut other).await.unwrap();
    assert!(survey.standing == Standing::NoMvp && survey.is_refused());
}
