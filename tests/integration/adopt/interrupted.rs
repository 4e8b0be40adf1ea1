//! Whatever ends a run, the next one finishes.

use std::process::{Command, Stdio};
use std::time::Duration;

use codeccloud::postgres::adoption;

use super::{adopt, adopted};
use crate::schema::catalogue;
use crate::support::mvp::{MvpDatabase, OwnerRights};

#[tokio::test]
async fn a_run_that_is_killed_again_and_again_is_finished_by_the_next() {
    let whole = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    adopted(&whole);
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    let mut kills = 0;
    for after_ms in (40..).step_by(25) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_codeccloud"));
        command
            .args(["schema", "adopt"])
            .env("DATABASE_URL", database.url())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut run = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after_ms));
        if run.try_wait().unwrap().is_some() {
            break;
        }
        run.kill().unwrap();
        run.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 2, "only {kills} runs were caught");
    let (document, holds) = adopt(&database, &[]);
    assert!(holds, "{document:#}");
    let [once, many] = [&whole, &database].map(|one| async { catalogue(&one.superuser().await).await });
    assert_eq!(once.await, many.await);
}

#[tokio::test]
async fn an_index_whose_building_failed_is_built_anew() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    let superuser = database.superuser().await;
    let left_over = "create unique index staff_profiles_tenant_key on staff_profiles (tenant_id, id);
        update pg_index set indisvalid = false where indexrelid = 'staff_profiles_tenant_key'::regclass";
    superuser.batch_execute(left_over).await.unwrap();
    adopted(&database);
    let valid = "select indisvalid from pg_index join pg_constraint c on c.conindid = indexrelid
        where conname = 'staff_profiles_tenant_key'";
    assert!(superuser.query_one(valid, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn an_index_of_a_partitioned_table_is_built_month_by_month() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    let superuser = database.superuser().await;
    let mut owner = database.owner().await;
    let statement = "create index appointments_by_staff on appointments (tenant_id, staff_id, slot_start)";
    // As an interrupted run leaves it: of the table, without a month; and of one month that is not valid.
    let left_over = "create index appointments_by_staff on only appointments (tenant_id, staff_id, slot_start);
        do $$
        declare
            month text := (select min(inhrelid::regclass::text) from pg_inherits where inhparent = 'appointments'::regclass);
        begin
            execute format('create index %s_by_staff on %1$s (tenant_id, staff_id, slot_start)', month);
            update pg_index set indisvalid = false where indexrelid = (month || '_by_staff')::regclass;
        end
        $$";
    superuser.batch_execute(left_over).await.unwrap();
    for _ in 0..2 {
        adoption::build_index(&mut owner, statement).await.unwrap();
        let state = "select (select indisvalid from pg_index where indexrelid = 'appointments_by_staff'::regclass),
            (select count(*) from pg_inherits i join pg_index x on x.indexrelid = i.inhrelid
                where inhparent = 'appointments_by_staff'::regclass and x.indisvalid),
            (select count(*) from pg_inherits where inhparent = 'appointments'::regclass)";
        let state = superuser.query_one(state, &[]).await.unwrap();
        assert!(state.get::<_, bool>(0));
        assert_eq!(state.get::<_, i64>(1), state.get::<_, i64>(2));
    }
}

/// Steps are counted: after an update of the binary the same number may stand for others.
#[tokio::test]
async fn a_binary_with_other_steps_does_not_go_on_after_them() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    adopted(&database);
    let superuser = database.superuser().await;
    let begun = "delete from app_private.schema_migrations where number >= 35;
        insert into app_private.schema_migrations_progress (number, steps_done, steps_hash) values (35, 1, 'another')";
    superuser.batch_execute(begun).await.unwrap();
    let output = super::codeccloud(&database, &["schema", "adopt"]);
    let text = super::text(&output);
    assert!(!output.status.success() && text.contains("another binary has done 1 steps of migration 0035"), "{text}");
}
