//! The schema's own promises: it goes down to nothing and comes up again the same, two servers can bring it up at once,
//! and nobody sees or touches a row of a foreign tenant.

use codeccloud::postgres::schema::{self, SchemaError};
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use uuid::{Uuid, uuid};

use crate::support::Database;

pub const OWN: Uuid = uuid!("00000000-0000-4000-8000-00000000000a");
pub const FOREIGN: Uuid = uuid!("00000000-0000-4000-8000-00000000000b");
pub const MEMBER: Uuid = uuid!("00000000-0000-4000-8000-0000000000aa");
pub const STRANGER: Uuid = uuid!("00000000-0000-4000-8000-0000000000bb");

#[tokio::test]
async fn goes_down_to_nothing_and_up_again_the_same() {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    schema::apply(&mut owner).await.unwrap();
    let before = catalogue(&owner).await;

    let taken_back = schema::rollback(&mut owner, 0).await.unwrap();
    assert_eq!(taken_back.last().unwrap().number, 1);
    let left: Vec<String> = catalogue(&owner).await;
    assert!(left.iter().all(|object| object.contains("schema_migrations")), "left behind: {left:#?}");
    assert!(schema::status(&owner).await.unwrap().iter().all(|migration| migration.applied_at.is_none()));

    // Less far down as well: what a rollback forgets is hidden once the table it hangs on goes too.
    for (to, _) in (0..).zip(&taken_back) {
        schema::rollback(&mut owner, to).await.unwrap();
        schema::apply(&mut owner).await.unwrap();
        assert_eq!(catalogue(&owner).await, before, "down to {to} and up again");
    }
    assert!(schema::status(&owner).await.unwrap().iter().all(|migration| migration.applied_at.is_some()));
}

#[tokio::test]
async fn two_servers_starting_at_once_apply_each_migration_once() {
    let database = Database::create().await;
    let (mut first, mut second) = (database.owner().await, database.owner().await);
    schema::rollback(&mut first, 0).await.unwrap();

    let (by_first, by_second) = tokio::join!(schema::apply(&mut first), schema::apply(&mut second));
    let mut numbers: Vec<u32> =
        by_first.unwrap().iter().chain(&by_second.unwrap()).map(|migration| migration.number).collect();
    numbers.sort_unstable();
    let all: Vec<u32> = schema::status(&first).await.unwrap().iter().map(|migration| migration.number).collect();
    assert_eq!(numbers, all);
}

#[tokio::test]
async fn refuses_a_database_that_is_not_its_own() {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    schema::apply(&mut owner).await.unwrap();

    let later = "insert into app_private.schema_migrations (number, name, checksum) values (9999, 'later', '')";
    owner.batch_execute(later).await.unwrap();
    let refusal = schema::apply(&mut owner).await.unwrap_err();
    assert!(matches!(refusal, SchemaError::Newer { database: 9999, .. }), "{refusal:?}");

    owner.batch_execute("delete from app_private.schema_migrations where number = 9999").await.unwrap();
    owner.batch_execute("update app_private.schema_migrations set checksum = 'x' where number = 2").await.unwrap();
    let refusal = schema::apply(&mut owner).await.unwrap_err();
    assert!(matches!(refusal, SchemaError::Changed { number: 2, .. }), "{refusal:?}");
}

/// The rows without which the transactional tables may go.
const FORGET_ROWS: &str = "set session_replication_role = replica; delete from resource_allocations; \
     delete from appointments; delete from loyalty_ledger; set session_replication_role = default";

#[tokio::test]
async fn never_takes_back_what_holds_rows() {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    let superuser = database.superuser().await;
    fill(&superuser, OWN, MEMBER).await;
    for (number, held, delete) in [
        (26, "stock_items", "delete from stock_items"),
        (25, "product_details", "delete from product_details"),
        (21, "webhook_endpoints", "delete from webhook_endpoints"),
        (15, "loyalty_ledger", FORGET_ROWS),
    ] {
        let refusal = schema::rollback(&mut owner, number - 1).await.unwrap_err();
        let SchemaError::Filled { number: refused, tables, .. } = &refusal else { panic!("{refusal:?}") };
        assert_eq!((*refused, tables.as_str()), (number, held));
        superuser.batch_execute(delete).await.unwrap();
    }
    for to in [3, 0] {
        let refusal = schema::rollback(&mut owner, to).await.unwrap_err();
        let SchemaError::Filled { number: 4, tables, .. } = &refusal else { panic!("{refusal:?}") };
        assert_eq!(tables, "event_store, saga_instances, idempotency_keys, tenant_stages");
        let status = schema::status(&owner).await.unwrap();
        assert!(status.iter().all(|migration| migration.applied_at.is_some()), "a refusal leaves everything in place");
    }
}

#[tokio::test]
async fn a_rollback_leaves_no_note_that_the_older_server_cannot_read() {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    fill(&superuser, OWN, MEMBER).await;
    superuser.batch_execute("update vault_notes set kind = 'reschedule_reason'").await.unwrap();
    superuser
        .batch_execute("delete from stock_items; delete from product_details; delete from webhook_endpoints")
        .await
        .unwrap();
    superuser.batch_execute(FORGET_ROWS).await.unwrap();
    let mut owner = database.owner().await;
    schema::rollback(&mut owner, 6).await.unwrap();
    let left: i64 = superuser.query_one("select count(*) from vault_notes", &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
    schema::apply(&mut owner).await.unwrap();
    assert!(schema::status(&owner).await.unwrap().iter().all(|migration| migration.applied_at.is_some()));
}

#[tokio::test]
async fn row_security_is_forced_on_every_table_and_partition() {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    schema::apply(&mut owner).await.unwrap();

    let unprotected = "select coalesce(string_agg(oid::regclass::text, ', '), '') from pg_class
        where relnamespace in ('public'::regnamespace, 'app_private'::regnamespace) and relkind in ('r', 'p')
        and not (relrowsecurity and relforcerowsecurity)";
    let names: String = owner.query_one(unprotected, &[]).await.unwrap().get(0);
    assert_eq!(names, "", "tables without forced row security");
}

/// What such a function calls without a schema must not be what somebody has put into `public`.
#[tokio::test]
async fn functions_with_their_owners_rights_look_up_nothing_in_public() {
    let database = Database::create().await;
    let open = "select coalesce(string_agg(oid::regprocedure::text, ', '), '') from pg_proc
        where prosecdef and pronamespace in ('public'::regnamespace, 'app_private'::regnamespace, 'auth'::regnamespace)
        and not coalesce(proconfig, '{}') @> '{\"search_path=pg_catalog, pg_temp\"}'";
    let names: String = database.owner().await.query_one(open, &[]).await.unwrap().get(0);
    assert_eq!(names, "", "set search_path = pg_catalog, pg_temp, and qualify what is in other schemas");
}

#[tokio::test]
async fn a_member_reaches_no_row_of_a_foreign_tenant() {
    let (database, member) = two_tenants().await;
    let superuser = database.superuser().await;
    let tables = tenant_tables(&superuser).await;
    for table in &tables {
        if readable(&member, table).await {
            assert!(seen(&member, table, OWN).await > 0, "own rows of {table}: give it a row in `fill`");
        }
        refuses_foreign_rows(&superuser, &member, table).await;
    }
    let tenants: i64 = member.query_one("select count(*) from tenants", &[]).await.unwrap().get(0);
    assert_eq!(tenants, 1, "the own tenant alone");

    // Hosting platforms grant everything on each new table: then the policies alone must hold.
    superuser.batch_execute("grant all on all tables in schema public, app_private to authenticated").await.unwrap();
    for table in &tables {
        refuses_foreign_rows(&superuser, &member, table).await;
    }
    for table in ["audit_log", "outbox_events", "product_stock", "vault_customers", "vault_notes", "outbox_deliveries"]
    {
        let change = format!("update {table} set tenant_id = tenant_id");
        assert_eq!(refused(member.execute(&change, &[]).await), None, "{table} is not for members to change");
    }
}

/// The server's own roles write for many tenants: what a transaction has not declared is out of their reach.
#[tokio::test]
async fn the_servers_roles_reach_no_row_of_a_tenant_that_was_not_declared() {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    fill(&superuser, OWN, MEMBER).await;
    fill(&superuser, FOREIGN, STRANGER).await;
    let tables = tenant_tables(&superuser).await;
    for (role, own) in [("codeccloud_store", "saga_instances"), ("codeccloud_vault", "vault_customers")] {
        let server = database.owner().await;
        server.batch_execute(&format!("set codeccloud.tenant_ids = '{{{OWN}}}'; set role {role}")).await.unwrap();
        assert!(seen(&server, own, OWN).await > 0, "{role} does its work");
        for table in &tables {
            refuses_foreign_rows(&superuser, &server, table).await;
        }
        server.batch_execute("reset codeccloud.tenant_ids").await.unwrap();
        assert_eq!(seen(&server, own, OWN).await, 0, "{role} has declared nobody");
    }
}

/// Each table either says whose a row is, and is walked above, or holds nothing that is a salon's.
#[tokio::test]
async fn a_member_reaches_no_row_that_is_nobodys() {
    let (database, member) = two_tenants().await;
    let superuser = database.superuser().await;
    superuser.batch_execute("grant all on all tables in schema public, app_private to authenticated").await.unwrap();
    let of_tenants = tenant_tables(&superuser).await;
    let all = "select oid::regclass::text from pg_class where relkind in ('r', 'p')
        and relnamespace in ('public'::regnamespace, 'app_private'::regnamespace) and relname <> 'tenants'";
    let all: Vec<String> = superuser.query(all, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    for table in all.iter().filter(|table| !of_tenants.contains(table)) {
        let seen: i64 = member.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get(0);
        assert_eq!(seen, 0, "{table}");
        assert_eq!(refused(member.execute(&format!("delete from {table}"), &[]).await), None, "{table}");
    }
    for change in ["update tenants set name = 'x'", "delete from tenants"] {
        assert_eq!(refused(member.execute(change, &[]).await), None, "{change}");
    }
}

#[tokio::test]
async fn a_revoked_member_sees_nothing_but_the_own_membership() {
    let (database, member) = two_tenants().await;
    let superuser = database.superuser().await;
    superuser.execute("update tenant_members set revoked_at = now() where user_id = $1", &[&MEMBER]).await.unwrap();
    for table in tenant_tables(&superuser).await {
        let expected = i64::from(table == "tenant_members");
        assert_eq!(seen(&member, &table, OWN).await, expected, "{table}");
    }
    let tenants: i64 = member.query_one("select count(*) from tenants", &[]).await.unwrap().get(0);
    assert_eq!(tenants, 0);
}

#[tokio::test]
async fn reference_versions_follow_reference_data_and_nothing_else() {
    let (database, member) = two_tenants().await;
    let superuser = database.superuser().await;
    let version = async || -> i64 {
        superuser
            .query_one("select version from reference_versions where tenant_id = $1", &[&OWN])
            .await
            .unwrap()
            .get(0)
    };
    let before = version().await;
    member.batch_execute("update appointments set notes = 'Comb'").await.unwrap();
    assert_eq!(version().await, before, "a bump of data_version is no reference change");
    member.batch_execute("update staff_profiles set display_name = 'Ada'").await.unwrap();
    assert_eq!(version().await, before + 1);
    superuser.execute("update tenants set name = 'Renamed' where id = $1", &[&OWN]).await.unwrap();
    assert_eq!(version().await, before + 2);
}

/// A database with one row of each of two tenants in every table, and a connection as a member of [`OWN`].
async fn two_tenants() -> (Database, Client) {
    let database = Database::create().await;
    let mut member = database.owner().await;
    schema::apply(&mut member).await.unwrap();
    let superuser = database.superuser().await;
    fill(&superuser, OWN, MEMBER).await;
    fill(&superuser, FOREIGN, STRANGER).await;

    let claims = json!({ "sub": MEMBER, "role": "authenticated", "tenant_id": OWN }).to_string();
    member.execute("select set_config('request.jwt.claims', $1, false)", &[&claims]).await.unwrap();
    member.batch_execute("set role authenticated").await.unwrap();
    (database, member)
}

/// One row in each table that members can read, and in each partition. Every id is the tenant's own, which keeps the two tenants apart.
pub async fn fill(superuser: &Client, tenant: Uuid, member: Uuid) {
    let rows = "
        insert into tenants (id, slug, name) values ('T', 'T', 'Salon');
        insert into tenant_members (tenant_id, user_id, role) values ('T', 'M', 'owner');
        insert into staff_profiles (tenant_id, id, display_name) values ('T', 'T', 'Staff');
        insert into resources (tenant_id, id, name, kind) values ('T', 'T', 'Chair', 'chair');
        insert into appointment_services (tenant_id, id, name, duration_minutes, price_cents)
            values ('T', 'T', 'Cut', 30, 5000);
        insert into appointments (tenant_id, id, code, staff_id, status, slot_start, slot_end)
            select 'T', 'T', 'CODE', 'T', 'scheduled', month + interval '9 hours', month + interval '10 hours'
            from generate_series(-1, 13) n, date_trunc('month', now() + n * interval '1 month', 'UTC') month;
        insert into resource_allocations (tenant_id, id, appointment_id, appointment_slot_start, resource_id, usage_range)
            select tenant_id, id, id, slot_start, 'T', slot from appointments where tenant_id = 'T' limit 1;
        insert into products (tenant_id, id, sku, name, price_cents) values ('T', 'T', 'SKU', 'Brush', 100);
        insert into product_details (tenant_id, product_id) values ('T', 'T');
        insert into product_stock_movements (tenant_id, id, product_id, quantity_delta, reason)
            values ('T', 'T', 'T', 5, 'bought');
        insert into stock_items (tenant_id, product_id, version, state) values ('T', 'T', 1, '{}');
        insert into tenant_settings (tenant_id) values ('T');
        insert into loyalty_accounts (tenant_id, customer_id, version, balance, state) values ('T', 'T', 1, 5, '{}');
        insert into loyalty_ledger (tenant_id, customer_id, version, id, kind, points)
            values ('T', 'T', 1, 'T', 'points_accrued', 5);
        insert into staff_working_hours (tenant_id, staff_id, weekday, start_minute, end_minute)
            values ('T', 'T', 1, 540, 1080);
        insert into staff_hours_exceptions (tenant_id, staff_id, day, intervals) values ('T', 'T', '2030-01-01', '[]');
        insert into staff_time_off (tenant_id, staff_id, starts_at, ends_at) values ('T', 'T', '2030-01-01', '2030-01-02');
        insert into staff_details (tenant_id, staff_id) values ('T', 'T');
        insert into service_details (tenant_id, service_id) values ('T', 'T');
        insert into service_staff (tenant_id, service_id, staff_id) values ('T', 'T', 'T');
        insert into vault_customers (tenant_id, customer_id, wrapped_key, master_key_id, profile)
            values ('T', 'T', '', 'key', '');
        insert into vault_notes (tenant_id, booking_id, kind, customer_id, ciphertext) values ('T', 'T', 'note', 'T', '');
        insert into event_store (id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, occurred_at,
            cluster_id, recorded_at, schema_version, metadata)
            values ('T', 'T', 'booking', 'T', 'booking_confirmed', 1, '{}', now(), 1, now(), 1, '{}');
        insert into stream_heads values ('T', 'booking', 'T', 1, 0, now(), now(), 'T');
        insert into idempotency_keys values ('T', 'key', 'T', '', 201, '', null, now());
        insert into saga_instances values ('T', 'booking', 'T', 1, 'scheduled', '{}', now());
        insert into snapshots values ('T', 'booking', 'T', 1, now(), 1, '');
        insert into event_projection_offsets (tenant_id, projection) values ('T', 'availability');
        insert into tenant_stages (tenant_id, stage) values ('T', 'scale');
        insert into outbox_deliveries (tenant_id, id, entry_id, aggregate_id, handler, target_id, event_type, message)
            values ('T', 'T', 1, 'T', 'webhook', 'T', 'booking.scheduled', '{}');
        insert into outbox_bookings (tenant_id, booking_id, status, slot_start, slot_end)
            values ('T', 'T', 'scheduled', now(), now());
        insert into webhook_endpoints (tenant_id, id, url, secret, secret_key_id) values ('T', 'T', 'https://x', '', '1');";
    let rows = rows.replace("'T'", &format!("'{tenant}'")).replace("'M'", &format!("'{member}'"));
    superuser.batch_execute(&rows).await.unwrap();
}

/// Reads, updates, deletes and inserts rows of [`FOREIGN`], and gives it rows of [`OWN`]: none of it may have an effect.
pub async fn refuses_foreign_rows(superuser: &Client, member: &Client, table: &str) {
    assert_eq!(seen(member, table, FOREIGN).await, 0, "foreign rows of {table}");
    let attempts = [
        format!("update {table} set tenant_id = tenant_id where tenant_id = $1"),
        format!("update {table} set tenant_id = $1"),
        format!("delete from {table} where tenant_id = $1"),
    ];
    for attempt in attempts {
        assert_eq!(refused(member.execute(&attempt, &[&FOREIGN]).await), None, "{attempt}");
    }

    let copy = format!("select to_jsonb(t) from {table} t where tenant_id = $1 limit 1");
    let row = superuser.query_opt(&copy, &[&FOREIGN]).await.unwrap();
    let row: Value = row.map_or_else(|| json!({ "tenant_id": FOREIGN }), |row| row.get(0));
    let columns = "select string_agg(quote_ident(attname), ', ') from pg_attribute
        where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = ''";
    let columns: String = superuser.query_one(columns, &[&table]).await.unwrap().get(0);
    let insert = format!(
        "insert into {table} ({columns}) overriding system value
         select {columns} from jsonb_populate_record(null::{table}, $1)"
    );
    let refusal = member.execute(&insert, &[&row]).await.expect_err(&insert);
    assert_eq!(refusal.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{insert}: {refusal:?}");
}

/// What went wrong when a change was neither refused nor without effect.
fn refused(outcome: Result<u64, tokio_postgres::Error>) -> Option<String> {
    match outcome {
        Ok(0) => None,
        Ok(rows) => Some(format!("changed {rows} rows")),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => None,
        Err(error) => Some(format!("{error:?}")),
    }
}

/// How many rows of `tenant` the client sees. Where it may not even ask, that is none.
pub async fn seen(client: &Client, table: &str, tenant: Uuid) -> i64 {
    match client.query_one(&format!("select count(*) from {table} where tenant_id = $1"), &[&tenant]).await {
        Ok(row) => row.get(0),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => 0,
        Err(error) => panic!("{table}: {error:?}"),
    }
}

async fn readable(client: &Client, table: &str) -> bool {
    client.query_one("select has_table_privilege($1, 'select')", &[&table]).await.unwrap().get(0)
}

pub async fn tenant_tables(client: &Client) -> Vec<String> {
    let tables = "select c.oid::regclass::text from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where c.relnamespace in ('public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p')
        order by 1";
    client.query(tables, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// All that the migrations make, to the letter. What extensions brought along stays with them.
pub async fn catalogue(client: &Client) -> Vec<String> {
    let objects = "with ours as (select oid, nspname from pg_namespace where nspname in ('public', 'app_private', 'auth')),
            tables as (select c.*, nspname from pg_class c join ours on ours.oid = relnamespace),
            functions as (select p.* from pg_proc p join ours on ours.oid = pronamespace
                where not exists (select from pg_depend where objid = p.oid and deptype = 'e')),
            grants as (
                select 'relation ' || oid::regclass as of, coalesce(relacl, acldefault(
                    case relkind when 'S' then 's'::\"char\" else 'r' end, relowner)) as acl from tables where relkind <> 'i'
                union all
                select 'function ' || oid::regprocedure, coalesce(proacl, acldefault('f', proowner)) from functions
                union all
                select format('column %s.%s', attrelid::regclass, attname), attacl from pg_attribute
                    where attacl is not null and attrelid in (select oid from tables)
            )
        select format('relation %s %s of %s, row security %s %s, options %s', relkind, oid::regclass, relowner::regrole,
            relrowsecurity, relforcerowsecurity, reloptions) from tables
        union all
        select format('column %s.%s %s, not null %s, default %s, storage %s', attrelid::regclass, attname,
            format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), attstorage)
            from pg_attribute join tables t on t.oid = attrelid left join pg_attrdef d on adrelid = attrelid and adnum = attnum
            where attnum > 0 and not attisdropped
        union all
        select format('index %s', pg_get_indexdef(indexrelid)) from pg_index join tables t on t.oid = indexrelid
        union all
        select format('function of %s: %s', proowner::regrole, pg_get_functiondef(oid)) from functions
        union all
        select format('policy %s on %s for %s to %s, %s, using %s, with check %s', policyname, tablename, cmd, roles,
            permissive, qual, with_check) from pg_policies join ours on nspname = schemaname
        union all
        select pg_get_triggerdef(g.oid) from pg_trigger g join tables t on t.oid = tgrelid where not tgisinternal
        union all
        select format('constraint %s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(c.oid))
            from pg_constraint c join ours on ours.oid = connamespace
        union all
        select format('grant of %s on %s to %s', privilege_type, of, coalesce(nullif(grantee, 0)::regrole::text, 'public'))
            from grants, aclexplode(acl)
        order by 1";
    client.query(objects, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}
