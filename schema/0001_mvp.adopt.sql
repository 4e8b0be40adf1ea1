-- What 0001 adds to a database that has the MVP's tables already: roles, policies for them, helper functions, partitions.
-- Each statement is a transaction of its own, so that nobody waits long; which ones are done is recorded. `\up …` stands for
-- the statements of the way up that begin so. No row is changed, and nothing that is there is altered, but for the owner of
-- functions that could not work (see the hand-over).

-- The server acts as the roles that it is a member of; `anon` and `service_role` are none of these.
do $$
declare
    role_name text;
begin
    foreach role_name in array array[
        'authenticated',
        'codeccloud_membership', 'codeccloud_audit', 'codeccloud_store', 'codeccloud_journal',
        'codeccloud_reader', 'codeccloud_operator', 'codeccloud_vault'
    ] loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception when duplicate_object or unique_violation then null;
            end;
        end if;
        if not pg_has_role(current_user, role_name, 'member') then
            begin
                execute format('grant %I to current_user', role_name);
            exception when unique_violation then null;
            end;
        end if;
    end loop;
end
$$;

-- Platforms keep some schemas and functions for themselves, with rights already given: only what is missing is granted.
do $$
declare
    grantee text;
    target text;
begin
    foreach grantee in array array[
        'anon', 'authenticated', 'service_role', 'codeccloud_membership', 'codeccloud_audit', 'codeccloud_store',
        'codeccloud_journal', 'codeccloud_reader', 'codeccloud_operator', 'codeccloud_vault'
    ] loop
        foreach target in array array['public', 'app_private', 'auth'] loop
            if not has_schema_privilege(grantee, target, 'usage') then
                execute format('grant usage on schema %I to %I', target, grantee);
            end if;
        end loop;
        -- A policy of the MVP may hold for every role: whoever may not ask its functions could read nothing. For the roles
        -- of later migrations see 0035.
        for target in
            select unnest(array[
                'auth.uid()', 'auth.role()', 'app_private.current_tenant_id()', 'app_private.is_tenant_member(uuid)'
            ])
            union
            select d.refobjid::regprocedure::text
            from pg_policy p
            join pg_class c on c.oid = p.polrelid and c.relnamespace = 'public'::regnamespace
            join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass
            where 0 = any (p.polroles)
        loop
            if not has_function_privilege(grantee, target, 'execute') then
                execute format('grant execute on function %s to %I', target, grantee);
            end if;
        end loop;
    end loop;
end
$$;

do $$
begin
    if to_regprocedure('app_private.is_tenant_owner(uuid)') is null then
        create function app_private.is_tenant_owner(tenant uuid) returns boolean
        stable parallel safe security definer set search_path = pg_catalog, pg_temp
        return exists (
            select from public.tenant_members m
            where m.tenant_id = tenant and m.user_id = auth.uid() and m.revoked_at is null and m.role = 'owner'
        );
        revoke execute on function app_private.is_tenant_owner(uuid) from public;
        grant execute on function app_private.is_tenant_owner(uuid) to anon, authenticated, service_role;
    end if;
end
$$;

\up create function app_private.protect_tenant_table;
\up create function app_private.share_reference_table;

select app_private.share_reference_table('public.tenants');
select app_private.share_reference_table('public.tenant_members');
select app_private.share_reference_table('public.staff_profiles');
select app_private.share_reference_table('public.resources');
select app_private.share_reference_table('public.appointment_services');
select app_private.share_reference_table('public.products');

\up create policy membership on tenant_members;
\up grant select on tenant_members;
\up grant select on tenants;
\up grant select, insert on product_stock_movements;
\up grant select, insert, update, delete on;

\up create policy audit on audit_log;
\up create policy audit on outbox_events;
\up create policy audit on tenants;
\up create policy audit on product_stock;
\up grant insert on audit_log;
\up grant select, insert, update on product_stock;
-- Unlike our own, the MVP's trigger function may write other columns of its tenant's row besides.
grant select, update on tenants to codeccloud_audit;
do $$
begin
    execute format('grant usage on sequence %s, %s to codeccloud_audit',
        pg_get_serial_sequence('public.audit_log', 'id'), pg_get_serial_sequence('public.outbox_events', 'id'));
end
$$;

-- The hand-over. Under forced row security, a function that runs with the rights of an owner without BYPASSRLS asks policies
-- that call it again, or may not write where members only read. Such functions of the MVP, and no others, go to our roles,
-- which have policies for what they do. They are found by what they do: by row triggers, or by policies on the tables.
do $$
declare
    handed record;
begin
    for handed in
        select p.oid::regprocedure::text as function, p.pronamespace::regnamespace::text as schema,
            case when p.prorettype = 'trigger'::regtype then 'codeccloud_audit' else 'codeccloud_membership' end as role
        from pg_proc p join pg_roles owner on owner.oid = p.proowner
        where p.prosecdef and not owner.rolsuper and not owner.rolbypassrls and owner.rolname not like 'codeccloud\_%'
            and case when p.prorettype = 'trigger'::regtype then
                p.prosrc ~ '\m(audit_log|outbox_events|data_version|product_stock)\M' and exists (
                    select from pg_trigger t join pg_class c on c.oid = t.tgrelid
                    where t.tgfoid = p.oid and c.relnamespace = 'public'::regnamespace and not t.tgisinternal
                )
            else
                pg_get_functiondef(p.oid) ~ '\mtenant_members\M' and p.prokind = 'f' and (
                    p.oid in ('app_private.is_tenant_member(uuid)'::regprocedure, 'app_private.is_tenant_owner(uuid)'::regprocedure)
                    or exists (
                        select from pg_depend d where d.classid = 'pg_policy'::regclass
                            and d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
                    )
                )
            end
    loop
        execute format('grant create on schema %s to %I', handed.schema, handed.role);
        execute format('alter function %s owner to %I', handed.function, handed.role);
        execute format('revoke create on schema %s from %I', handed.schema, handed.role);
    end loop;
end
$$;

-- For tables that later migrations add: the MVP's tables keep the triggers that they have.
\up create function app_private.refuse_change;
\up create function app_private.bump_data_version;
\up create function app_private.record_audit;
\up create function app_private.record_outbox;
do $$
begin
    grant create on schema app_private to codeccloud_audit;
    alter function app_private.bump_data_version() owner to codeccloud_audit;
    alter function app_private.record_audit() owner to codeccloud_audit;
    alter function app_private.record_outbox() owner to codeccloud_audit;
    revoke create on schema app_private from codeccloud_audit;
end
$$;

-- As 0001's, and besides: the deployment's row triggers may be on each month, instead of on the table; and a month that it
-- has taken out is not there, whatever its table is called.
create function app_private.create_appointments_partition(month date) returns boolean language plpgsql as $$
declare
    month_start constant timestamptz := date_trunc('month', month::timestamp) at time zone 'UTC';
    month_end constant timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'UTC';
    partition constant text := 'appointments_' || to_char(month, 'YYYYMM');
    trigger_definition text;
begin
    -- Conflicts with itself only: two servers may be making the same month.
    lock table public.appointments in share update exclusive mode;
    if to_regclass('public.' || partition) is not null then
        if not exists (
            select from pg_inherits
            where inhrelid = to_regclass('public.' || partition) and inhparent = 'public.appointments'::regclass
        ) then
            raise exception '% is no partition of appointments: attach it or rename it', partition;
        end if;
        return false;
    end if;
    execute format('create table public.%I (like public.appointments including all)', partition);
    execute format(
        'alter table public.%I add constraint %I exclude using gist (tenant_id with =, staff_id with =, slot with &&)'
        ' where (status in (''scheduled'', ''confirmed'', ''checked_in''))',
        partition, partition || '_no_overlap'
    );
    perform app_private.protect_tenant_table(format('public.%I', partition)::regclass);
    for trigger_definition in
        select replace(pg_get_triggerdef(t.oid), format(' ON public.%I ', c.relname), format(' ON public.%I ', partition))
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where not t.tgisinternal and t.tgparentid = 0 and t.tgrelid = (
            select i.inhrelid from pg_inherits i join pg_class m on m.oid = i.inhrelid
            where i.inhparent = 'public.appointments'::regclass order by m.relname desc limit 1
        )
    loop
        execute trigger_definition;
    end loop;
    execute format(
        'alter table public.appointments attach partition public.%I for values from (%L) to (%L)',
        partition, month_start, month_end
    );
    return true;
end
$$;

do $$
begin
    revoke execute on function
        app_private.protect_tenant_table(regclass, text), app_private.share_reference_table(regclass),
        app_private.refuse_change(), app_private.bump_data_version(), app_private.record_audit(),
        app_private.record_outbox(), app_private.create_appointments_partition(date)
        from public;
end
$$;

-- The months that are missing between the first partition and a year ahead. Their tables are empty, so this is quick.
select app_private.create_appointments_partition(month::date)
from (
    select to_date(right(min(c.relname), 6), 'YYYYMM') as first
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'public.appointments'::regclass and c.relname ~ '^appointments_\d{6}$'
) existing,
generate_series(
    coalesce(first, date_trunc('month', now() at time zone 'UTC')),
    date_trunc('month', now() at time zone 'UTC') + interval '13 months', '1 month'
) month;
