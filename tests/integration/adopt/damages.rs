//! Databases that the server would not work with, or not keep what it promises.

use super::{adopt, adopted, codeccloud, of_grade, text};
use crate::schema::catalogue;
use crate::support::mvp::{MvpDatabase, OwnerRights};

/// What breaks the database, what refuses then, and what mends it. `MONTH` is the present one.
const DAMAGES: &[(&str, &str, &str)] = &[
    (
        "alter table products alter column price_cents type numeric",
        "products.price_cents: its type is numeric, not integer",
        "alter table products alter column price_cents type integer",
    ),
    (
        "alter table tenants add column region text not null default 'ch'; alter table tenants alter region drop default",
        "tenants.region: a column of the deployment's own that every new row must fill; give it a default",
        "alter table tenants drop column region",
    ),
    (
        "alter table resources disable row level security",
        "resources: row security is off: alter table public.resources enable row level security",
        "alter table resources enable row level security",
    ),
    (
        "create table tenant_settings (theme text)",
        "tenant_settings: 0002_reference makes a table of that name: rename yours",
        "drop table tenant_settings",
    ),
    // What refers to it follows.
    (
        "alter function public.log_row_change set schema app_private;
            alter function app_private.log_row_change rename to record_audit",
        "app_private.record_audit: 0001_mvp makes a function of that name: rename yours",
        "alter function app_private.record_audit rename to log_row_change",
    ),
    (
        "alter table outbox_events rename to outbox",
        "outbox_events: the table is missing",
        "alter table outbox rename to outbox_events",
    ),
    // Policies.
    (
        "create policy everybody on products for select to authenticated using (true)",
        "products: the policy \"everybody\" reaches beyond the tenant and its members: using true",
        "drop policy everybody on products",
    ),
    (
        "create policy giving on resources for insert to authenticated with check (true)",
        "resources: the policy \"giving\" reaches beyond the tenant and its members: with check true",
        "drop policy giving on resources",
    ),
    (
        "create policy giving on resources for update to authenticated using (
            tenant_id = app_private.current_tenant_id() and app_private.is_tenant_member(tenant_id)) with check (true)",
        "resources: the policy \"giving\" reaches beyond the tenant and its members: with check true",
        "drop policy giving on resources",
    ),
    (
        "create policy signed_in on appointments_MONTH for select to authenticated using (auth.uid() is not null)",
        "appointments_MONTH: the policy \"signed_in\" reaches beyond the tenant and its members: using (auth.uid() IS NOT NULL)",
        "drop policy signed_in on appointments_MONTH",
    ),
    (
        "create policy named on tenants as restrictive using (name <> '')",
        "tenants: the restrictive policy \"named\" narrows what members reach, and the server's own roles: let it be for \
         authenticated",
        "drop policy named on tenants",
    ),
    // Constraints.
    (
        "create table people (id uuid primary key);
            alter table product_stock_movements add constraint by_people foreign key (created_by) references people not valid",
        "product_stock_movements: the foreign key by_people may refuse what the server writes: \
         FOREIGN KEY (created_by) REFERENCES people(id) NOT VALID; drop it",
        "alter table product_stock_movements drop constraint by_people; drop table people",
    ),
    (
        "alter table product_stock_movements add constraint small check (quantity_delta < 1000000)",
        "product_stock_movements: the check small may refuse what the server writes: CHECK ((quantity_delta < 1000000)); drop it",
        "alter table product_stock_movements drop constraint small",
    ),
    (
        "create table invoices (t uuid, s timestamptz, a uuid, constraint of_booking foreign key (t, s, a) references appointments)",
        "invoices: the foreign key of_booking lets no booking move: FOREIGN KEY (t, s, a) REFERENCES appointments(tenant_id, \
         slot_start, id); add ON UPDATE CASCADE",
        "drop table invoices",
    ),
    // Triggers and sequences.
    (
        "alter table product_stock_movements disable trigger apply_movement",
        "product_stock_movements: no trigger keeps product_stock the sum of what is inserted there, or it is disabled",
        "alter table product_stock_movements enable trigger apply_movement",
    ),
    (
        "create trigger early before insert on products for each row execute function touch_tenant()",
        "products: the trigger early records changes and fires before the change: make it a trigger after the change",
        "drop trigger early on products",
    ),
    (
        "create trigger zzzz before insert on appointments for each row execute function sync_slot()",
        "appointments: the trigger zzzz fires after all of the server's own: rename it",
        "drop trigger zzzz on appointments",
    ),
    (
        "alter sequence audit_log_id_seq owned by none",
        "audit_log.id: it has no sequence of its own: alter sequence … owned by public.audit_log.id",
        "alter sequence audit_log_id_seq owned by audit_log.id",
    ),
    (
        "alter sequence outbox_events_id_seq cache 50",
        "outbox_events.id: its numbers are handed out in advance: alter sequence outbox_events_id_seq cache 1",
        "alter sequence outbox_events_id_seq cache 1",
    ),
    // Rights.
    (
        "alter function app_private.is_tenant_member(uuid) security invoker",
        "app_private.is_tenant_member(uuid): it runs with its caller's rights, and functions of the server ask it with theirs: \
         alter function app_private.is_tenant_member(uuid) security definer",
        "alter function app_private.is_tenant_member(uuid) security definer",
    ),
    (
        "create function own_log() returns trigger language plpgsql as $$ begin insert into audit_log (event_type) values ('insert');
            return null; end $$;
            create trigger own_log after insert on products for each row execute function own_log()",
        "products: the trigger own_log writes with the rights of whoever changes a row, and the server's roles have none there: \
         alter function own_log() security definer",
        "drop function own_log() cascade",
    ),
    (
        "alter function public.apply_movement() security invoker",
        "product_stock_movements: the trigger apply_movement writes with the rights of whoever changes a row, and the server's \
         roles have none there: alter function apply_movement() security definer",
        "alter function public.apply_movement() security definer",
    ),
    // What a trigger does, and by whom.
    (
        "create function low() returns trigger language plpgsql security definer as $$ begin
                if exists (select from product_stock where quantity_on_hand < 3) then
                    insert into outbox_events (aggregate, event_type, payload) values ('low', 'insert', '{}');
                end if;
                return null;
            end $$;
            create trigger low after insert on product_stock_movements for each row execute function low()",
        "product_stock_movements: the trigger low both sums the stock and records: make two of it",
        "drop function low() cascade",
    ),
    (
        "create function note(text) returns void language sql as $$ insert into audit_log (event_type) values ('insert') $$;
            create function noting(text) returns void language plpgsql as $$ begin perform public.note($1); end $$;
            create function on_noted() returns trigger language plpgsql security definer as $$ begin perform public.noting('x');
            return null; end $$;
            create trigger noted after insert on resource_allocations for each row execute function on_noted()",
        "resource_allocations: the trigger noted records by calling noting: let on_noted() write the entries itself",
        "drop function on_noted() cascade; drop function noting(text); drop function note(text)",
    ),
    // Months.
    (
        "create table appointments_203001 partition of appointments for values from ('2030-01-01Z') to ('2030-04-01Z');
            alter table appointments_203001 enable row level security, force row level security, owner to salon_owner,
                add exclude using gist (tenant_id with =, staff_id with =, slot with &&)",
        "appointments_203001: it is not the month, in UTC, that appointments_YYYYMM stands for: FOR VALUES FROM \
         ('2030-01-01 00:00:00+00') TO ('2030-04-01 00:00:00+00')",
        "alter table appointments detach partition appointments_203001; drop table appointments_203001",
    ),
    (
        "create table appointments_203001 (id uuid)",
        "appointments_203001: it has the name of a month and is no partition of appointments: attach it or rename it",
        "drop table appointments_203001",
    ),
    // Names.
    (
        "create policy reader on products for select to anon using (false)",
        "products: the server makes a policy reader there: rename yours",
        "drop policy reader on products",
    ),
    (
        "alter table appointments add column version text",
        "appointments: the server makes a column version there: rename yours",
        "alter table appointments drop column version",
    ),
    (
        "create index staff_profiles_tenant_key on staff_profiles (display_name)",
        "staff_profiles_tenant_key: 0002_reference makes an index of that name on staff_profiles: rename yours",
        "drop index staff_profiles_tenant_key",
    ),
];

/// Row security hides the rows from the login, so a dry run can't say it.
const UNKNOWN_CURRENCY: (&str, &str, &str) = (
    "set session_replication_role = replica;
        update products set currency = 'USD' where (tenant_id, id) = (select tenant_id, id from products limit 1)",
    "products.currency: the server does not know USD, which 1 rows are in",
    "update products set currency = 'CHF' where currency = 'USD'; reset session_replication_role",
);

#[tokio::test]
async fn nothing_is_begun_on_a_database_that_the_server_would_not_work_with() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    let apply = codeccloud(&database, &["schema", "apply"]);
    assert!(!apply.status.success() && text(&apply).contains("schema adopt"), "{}", text(&apply));
    let superuser = database.superuser().await;
    superuser.batch_execute("set time zone 'UTC'").await.unwrap();
    let month: String = superuser.query_one("select to_char(now(), 'YYYYMM')", &[]).await.unwrap().get(0);
    let mut wrong = Vec::new();
    for damage in DAMAGES {
        let [damage, expected, remedy] = [damage.0, damage.1, damage.2].map(|text| text.replace("MONTH", &month));
        superuser.batch_execute(&damage).await.unwrap_or_else(|error| panic!("{damage}: {error:?}"));
        let before = catalogue(&superuser).await;
        // Nothing is begun where the wrong thing is said either.
        let (document, holds) = adopt(&database, &["--dry-run"]);
        let said = of_grade(&document, "refuses");
        if holds || said != [expected.as_str()] {
            wrong.push(format!("{damage}: {said:?}, not {expected:?}"));
        } else {
            let (document, holds) = adopt(&database, &[]);
            assert!(!holds && document["outcome"] == "refused", "{damage}: {document:#}");
        }
        assert_eq!(catalogue(&superuser).await, before);
        superuser.batch_execute(&remedy).await.unwrap_or_else(|error| panic!("{remedy}: {error:?}"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (unknown, known, remedy) = UNKNOWN_CURRENCY;
    superuser.batch_execute(unknown).await.unwrap();
    let before = catalogue(&superuser).await;
    let (document, holds) = adopt(&database, &[]);
    assert!(!holds && of_grade(&document, "refuses") == [known], "{document:#}");
    assert_eq!(catalogue(&superuser).await, before);
    superuser.batch_execute(remedy).await.unwrap();
    adopted(&database);
}

/// What others made by our names would end adoption midway.
#[tokio::test]
async fn the_names_that_adoption_takes_on_tables_of_the_mvp_are_known() {
    let database = MvpDatabase::create(OwnerRights::CreateRole, 120).await;
    let superuser = database.superuser().await;
    let parts = "select kind || ' ' || name || ' on ' || c.relname
        from (
            select polrelid, 'policy', polname::text from pg_policy
            union all select tgrelid, 'trigger', tgname::text from pg_trigger where not tgisinternal
            union all select attrelid, 'column', attname::text from pg_attribute where attnum > 0 and not attisdropped
        ) part (relation, kind, name)
        join pg_class c on c.oid = part.relation and c.relnamespace = 'public'::regnamespace
        where c.relname = any($1::text[]) order by 1";
    let tables: Vec<&str> = codeccloud::postgres::adoption::tables().collect();
    let before: Vec<String> = superuser.query(parts, &[&tables]).await.unwrap().iter().map(|row| row.get(0)).collect();
    adopted(&database);
    let after: Vec<String> = superuser.query(parts, &[&tables]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let added: Vec<&String> = after.iter().filter(|part| !before.contains(part)).collect();
    let known: Vec<&str> = codeccloud::postgres::adoption::names_added().to_vec();
    assert_eq!(added, known, "list them in `ADDED` of differences/names.rs");
}
