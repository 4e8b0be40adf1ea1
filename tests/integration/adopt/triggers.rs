//! Triggers of a deployment that stand elsewhere, or are switched otherwise, than the description has them.

use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::adopted;
use super::owners::SECRETS;
use crate::support::mvp::{MvpDatabase, OwnerRights, Variation};
use crate::support::{Mode, Server, command_on, key};

/// Of each trigger where it stands, how it is switched.
async fn switches(superuser: &Client) -> Vec<String> {
    let sql = "select format('%s on %s: %s', t.tgname, t.tgrelid::regclass, t.tgenabled) from pg_trigger t
        where not t.tgisinternal and t.tgname ~ '^(on_|aa_)' order by 1";
    superuser.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn definitions(superuser: &Client) -> Vec<String> {
    let sql =
        "select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal and tgname like 'on\\_%' order by 1";
    superuser.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_writes_is_recorded_once_where_triggers_stand_on_months() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 240).await;
    database.vary(Variation::MonthlyTriggers).await;
    let superuser = database.superuser().await;
    let (switched, defined) = (switches(&superuser).await, definitions(&superuser).await);
    adopted(&database);
    let after = switches(&superuser).await;
    assert!(switched.iter().all(|one| after.contains(one)), "before {switched:#?}, after {after:#?}");

    let url = database.url();
    let environment = [&SECRETS[..], &[Mode::Scale.feature(), ("CODECCLOUD_LOG_FILTER", "warn")]].concat();
    let server = Server::of(command_on(&url, &environment));
    server.ready().await;
    let salon = server.salon_with(|| command_on(&url, &environment)).await;
    let created = server.post(&salon, "/v1/bookings", &key(), &salon.booking(0, 0, 0)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id: Uuid = created.json()["booking"]["id"].as_str().unwrap().parse().unwrap();
    let entries = "select (select count(*) from audit_log where entity_id = $1::text),
        (select count(*) from outbox_events where aggregate_id::text = $1)";
    let entries = superuser.query_one(entries, &[&id.to_string()]).await.unwrap();
    assert_eq!((entries.get::<_, i64>(0), entries.get::<_, i64>(1)), (1, 1));
    server.stop();

    // A month that the deployment makes for itself.
    let month = "create table appointments_209901 partition of appointments for values from ('2099-01-01Z') to ('2099-02-01Z');
        alter table appointments_209901 owner to salon_owner;
        create trigger on_appointments_audit after insert on appointments_209901 for each row execute function log_row_change()";
    superuser.batch_execute(month).await.unwrap();
    let owner = database.owner().await;
    owner.batch_execute("select app_private.leave_records_to_store('appointments')").await.unwrap();
    let recording = definitions(&superuser).await;
    assert!(recording.iter().all(|one| one.contains("codeccloud_store")), "{recording:#?}");

    let gone = "alter table appointments detach partition appointments_209901; drop table appointments_209901";
    superuser.batch_execute(gone).await.unwrap();
    let rollback = super::codeccloud(&database, &["schema", "rollback", "--to", "30"]);
    assert!(rollback.status.success(), "{}", super::text(&rollback));
    let back = definitions(&superuser).await;
    assert!(defined.iter().all(|one| back.contains(one)), "before {defined:#?}, after {back:#?}");
    let after = switches(&superuser).await;
    assert!(switched.iter().all(|one| after.contains(one)), "before {switched:#?}, after {after:#?}");
}

/// Ours looks at the bounds that the deployment's trigger sets from the slot.
#[tokio::test]
async fn an_overlap_across_months_is_seen_whatever_triggers_are_called() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    let superuser = database.superuser().await;
    superuser.batch_execute("alter trigger aa_sync_slot on appointments rename to trg_sync_slot").await.unwrap();
    adopted(&database);
    let book = "insert into appointments (tenant_id, code, staff_id, status, slot_start, slot_end)
        select t.id, $1, $2, 'scheduled', m + $3::text::interval, m + $4::text::interval
        from tenants t, date_trunc('month', now() + interval '12 months', 'UTC') m where slug = 'salon-1'";
    let staff = Uuid::from_u128(7);
    superuser.execute(book, &[&"EARLY", &staff, &"-1 hour", &"30 minutes"]).await.unwrap();
    superuser.execute(book, &[&"LATE", &staff, &"9 days", &"9 days 1 hour"]).await.unwrap();
    let moving = "update appointments set slot = tstzrange(m, m + interval '1 hour')
        from date_trunc('month', now() + interval '12 months', 'UTC') m where code = 'LATE' and staff_id = $1";
    let refused = superuser.execute(moving, &[&staff]).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "23P01", "{refused:?}");
}

/// 0001's, some of which have other names there.
#[tokio::test]
async fn an_adopted_database_has_the_indexes_that_the_server_reads_by() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    let superuser = database.superuser().await;
    superuser.batch_execute("create index by_number on outbox_events (id) where processed_at is null").await.unwrap();
    adopted(&database);
    let indexes = "select string_agg(i.relname, ', ' order by i.relname)
        from pg_index x join pg_class i on i.oid = x.indexrelid where x.indisvalid and pg_get_indexdef(x.indexrelid) ~ any(array[
            'ON public.audit_log USING btree \\(tenant_id, id\\)$',
            'ON public.outbox_events USING btree \\(id\\) WHERE \\(processed_at IS NULL\\)$',
            'ON public.resource_allocations USING btree \\(tenant_id, appointment_id, appointment_slot_start\\)$'
        ])";
    let indexes: String = superuser.query_one(indexes, &[]).await.unwrap().get(0);
    assert_eq!(json!(indexes), "audit_log_by_tenant, by_number, resource_allocations_by_appointment");
}
