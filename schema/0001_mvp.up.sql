-- The MVP's tables, which deployments already run, and the roles and policies that everything later builds on.
-- No column, unique or foreign key beyond the MVP's own, so that a fresh database and an adopted one agree.
-- Row security is forced and the owner has no BYPASSRLS: whoever reads or writes rows does it under a policy below.

create extension if not exists btree_gist;
create extension if not exists pg_trgm;
create extension if not exists pgcrypto;

create schema if not exists app_private;
create schema if not exists auth;

-- Roles belong to the cluster, while migrations run per database, possibly in several at once and possibly after an
-- administrator has made the roles: hence the checks, and the exceptions for whoever came second.
do $$
declare
    role_name text;
begin
    foreach role_name in array array[
        'anon', 'authenticated', 'service_role',
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

grant usage on schema public, app_private, auth to
    anon, authenticated, service_role, codeccloud_membership, codeccloud_audit, codeccloud_store, codeccloud_journal,
    codeccloud_reader, codeccloud_operator, codeccloud_vault;

create table tenants (
    id uuid primary key default gen_random_uuid(),
    slug text not null unique,
    name text not null,
    locale text not null default 'de-CH',
    data_version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);

create table tenant_members (
    tenant_id uuid not null,
    user_id uuid not null,
    role text not null check (role in ('owner', 'manager', 'staff')),
    invited_at timestamptz,
    accepted_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, user_id)
);

create table staff_profiles (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null,
    user_id uuid,
    display_name text not null,
    color text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table resources (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null,
    name text not null,
    kind text not null,
    capacity int not null default 1 check (capacity > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table appointment_services (
    tenant_id uuid not null,
    id uuid primary key default gen_random_uuid(),
    name text not null,
    duration_minutes int not null check (duration_minutes > 0),
    price_cents int not null check (price_cents >= 0),
    currency char(3) not null default 'CHF',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create type appointment_status as enum (
    'draft', 'scheduled', 'confirmed', 'checked_in', 'completed', 'cancelled', 'no_show'
);

create table appointments (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    code text not null,
    customer_id uuid,
    staff_id uuid not null,
    service_id uuid,
    status appointment_status not null default 'draft',
    slot tstzrange not null,
    slot_start timestamptz not null,
    slot_end timestamptz not null,
    price_cents int not null default 0,
    currency char(3) not null default 'CHF',
    notes text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    cancelled_at timestamptz,
    primary key (tenant_id, slot_start, id),
    unique (tenant_id, slot_start, code),
    check (slot_start < slot_end),
    check (slot = tstzrange(slot_start, slot_end))
) partition by range (slot_start);

create table resource_allocations (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    appointment_id uuid not null,
    appointment_slot_start timestamptz not null,
    resource_id uuid not null,
    usage_range tstzrange not null,
    usage_start timestamptz generated always as (lower(usage_range)) stored,
    usage_end timestamptz generated always as (upper(usage_range)) stored,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id),
    foreign key (tenant_id, appointment_id, appointment_slot_start)
        references appointments (tenant_id, id, slot_start) on delete cascade,
    exclude using gist (tenant_id with =, resource_id with =, usage_range with &&)
);
create index on resource_allocations (tenant_id, appointment_id, appointment_slot_start);

create table products (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    sku text not null,
    name text not null,
    description text,
    price_cents int not null check (price_cents >= 0),
    currency char(3) not null default 'CHF',
    is_active bool not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, sku)
);

create table product_stock (
    tenant_id uuid not null,
    product_id uuid not null,
    quantity_on_hand int not null default 0,
    quantity_reserved int not null default 0,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, product_id)
);

create table product_stock_movements (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    product_id uuid not null,
    quantity_delta int not null,
    reserved_delta int not null default 0,
    reason text not null,
    context jsonb,
    created_at timestamptz not null default now(),
    created_by uuid,
    primary key (tenant_id, id)
);

create table audit_log (
    id bigserial primary key,
    tenant_id uuid,
    actor_id uuid,
    event_type text not null check (event_type in ('insert', 'update', 'delete')),
    entity text not null,
    entity_id text,
    before jsonb,
    after jsonb,
    performed_at timestamptz not null default now(),
    context jsonb
);
create index on audit_log (tenant_id, id);

create table outbox_events (
    id bigserial primary key,
    tenant_id uuid,
    aggregate text not null,
    aggregate_id uuid,
    event_type text not null,
    payload jsonb not null,
    created_at timestamptz not null default now(),
    processed_at timestamptz
);
create index on outbox_events (id) where processed_at is null;

create function auth.uid() returns uuid stable parallel safe
return (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid;

create function auth.role() returns text stable parallel safe
return coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role', 'anon');

create function app_private.current_tenant_id() returns uuid stable parallel safe
return (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'tenant_id')::uuid;

-- The next two belong to a role with a policy of its own on tenant_members: asked by the table's owner, row security,
-- being forced, would ask the same question again without end.
create function app_private.is_tenant_member(tenant uuid) returns boolean
stable parallel safe security definer set search_path = pg_catalog, pg_temp
return exists (
    select from public.tenant_members m
    where m.tenant_id = tenant and m.user_id = auth.uid() and m.revoked_at is null
);

create function app_private.is_tenant_owner(tenant uuid) returns boolean
stable parallel safe security definer set search_path = pg_catalog, pg_temp
return exists (
    select from public.tenant_members m
    where m.tenant_id = tenant and m.user_id = auth.uid() and m.revoked_at is null and m.role = 'owner'
);

-- What every tenant table gets. The policy says `tenant_id = current_tenant_id() and is_tenant_member(tenant_id)`, of the
-- rows read and of those written, in a form that looks membership up once a statement instead of once a row. Grants stay
-- with the caller; `command` narrows the policy too, since hosting platforms grant everything on new tables to everyone.
create function app_private.protect_tenant_table(target regclass, command text default 'all') returns void
language plpgsql as $$
begin
    execute format('alter table %s enable row level security, force row level security', target);
    execute format(
        'create policy members on %s for %s to authenticated using (tenant_id = (select app_private.current_tenant_id())'
        ' and (select app_private.is_tenant_member(app_private.current_tenant_id())))',
        target, command
    );
end
$$;

-- Reference data: the server reads it across tenants into memory, the platform's operator sets it up.
create function app_private.share_reference_table(target regclass) returns void language plpgsql as $$
begin
    execute format('grant select on %s to codeccloud_reader', target);
    execute format('create policy reader on %s for select to codeccloud_reader using (true)', target);
    execute format('grant select, insert, update, delete on %s to codeccloud_operator', target);
    execute format('create policy operator on %s to codeccloud_operator using (true) with check (true)', target);
end
$$;

select app_private.protect_tenant_table(target) from unnest(array[
    'staff_profiles', 'resources', 'appointment_services', 'appointments', 'resource_allocations', 'products',
    'product_stock_movements'
]::regclass[]) target;
select app_private.protect_tenant_table(target, 'select') from unnest(array[
    'product_stock', 'audit_log', 'outbox_events'
]::regclass[]) target;

select app_private.share_reference_table(target) from unnest(array[
    'tenants', 'tenant_members', 'staff_profiles', 'resources', 'appointment_services', 'products'
]::regclass[]) target;

alter table tenants enable row level security, force row level security;
create policy members on tenants for select to authenticated using (app_private.is_tenant_member(id));

alter table tenant_members enable row level security, force row level security;
create policy own_rows on tenant_members for select to authenticated using (user_id = (select auth.uid()));
create policy owners on tenant_members to authenticated
    using (tenant_id = (select app_private.current_tenant_id())
        and (select app_private.is_tenant_owner(app_private.current_tenant_id())));
create policy membership on tenant_members for select to codeccloud_membership using (true);
grant select on tenant_members to codeccloud_membership;

grant select on tenants, product_stock, audit_log, outbox_events to authenticated;
grant select, insert on product_stock_movements to authenticated;
grant select, insert, update, delete on
    tenant_members, staff_profiles, resources, appointment_services, appointments, resource_allocations, products
    to authenticated;

-- What the trigger functions below may do, and nothing else may: codeccloud_audit owns them.
create policy audit on audit_log for insert to codeccloud_audit with check (true);
create policy audit on outbox_events for insert to codeccloud_audit with check (true);
create policy audit on tenants to codeccloud_audit using (true) with check (true);
create policy audit on product_stock to codeccloud_audit using (true) with check (true);
grant insert on audit_log, outbox_events to codeccloud_audit;
grant usage on sequence audit_log_id_seq, outbox_events_id_seq to codeccloud_audit;
grant select (id, data_version), update (data_version) on tenants to codeccloud_audit;
grant select, insert, update on product_stock to codeccloud_audit;

create function app_private.keep_slot_bounds() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        new.slot := coalesce(new.slot, tstzrange(new.slot_start, new.slot_end));
        new.slot_end := coalesce(new.slot_end, upper(new.slot));
    elsif new.slot is not distinct from old.slot then
        new.slot := tstzrange(new.slot_start, new.slot_end);
    elsif (new.slot_start, new.slot_end) is not distinct from (old.slot_start, old.slot_end) then
        new.slot_start := lower(new.slot);
        new.slot_end := upper(new.slot);
    end if;
    return new;
end
$$;

create function app_private.check_status_transition() returns trigger language plpgsql as $$
begin
    if (old.status, new.status) in (
        ('draft', 'scheduled'), ('draft', 'cancelled'),
        ('scheduled', 'confirmed'), ('scheduled', 'cancelled'), ('scheduled', 'draft'),
        ('confirmed', 'checked_in'), ('confirmed', 'cancelled'),
        ('checked_in', 'completed'), ('checked_in', 'no_show')
    ) then
        return new;
    end if;
    raise exception 'an appointment cannot go from % to %', old.status, new.status using errcode = 'check_violation';
end
$$;

create trigger keep_slot_bounds before insert or update on appointments
    for each row execute function app_private.keep_slot_bounds();
create trigger check_status_transition before update on appointments
    for each row when (old.status is distinct from new.status) execute function app_private.check_status_transition();

create function app_private.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is immutable: % refused', tg_table_name, tg_op using errcode = 'insufficient_privilege';
end
$$;

create trigger refuse_change before update or delete or truncate on product_stock_movements
    for each statement execute function app_private.refuse_change();

create function app_private.sum_stock_movement() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.product_stock as stock (tenant_id, product_id, quantity_on_hand, quantity_reserved)
    values (new.tenant_id, new.product_id, new.quantity_delta, new.reserved_delta)
    on conflict (tenant_id, product_id) do update set
        quantity_on_hand = stock.quantity_on_hand + excluded.quantity_on_hand,
        quantity_reserved = stock.quantity_reserved + excluded.quantity_reserved,
        updated_at = now();
    return null;
end
$$;

create trigger sum_stock_movement after insert on product_stock_movements
    for each row execute function app_private.sum_stock_movement();

create function app_private.bump_data_version() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update public.tenants set data_version = data_version + 1 where id = coalesce(new.tenant_id, old.tenant_id);
    return null;
end
$$;

-- `request.context` is the JSON that the server sets beside the claims: source, ip, request_id.
create function app_private.record_audit() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    before_row constant jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
    after_row constant jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
    entity_row constant jsonb := coalesce(after_row, before_row);
begin
    insert into public.audit_log (tenant_id, actor_id, event_type, entity, entity_id, before, after, context)
    values (
        (entity_row ->> 'tenant_id')::uuid, auth.uid(), lower(tg_op), tg_table_name, entity_row ->> 'id',
        before_row, after_row, nullif(current_setting('request.context', true), '')::jsonb
    );
    return null;
end
$$;

create function app_private.record_outbox() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    entity_row constant jsonb := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
    insert into public.outbox_events (tenant_id, aggregate, aggregate_id, event_type, payload)
    values (
        (entity_row ->> 'tenant_id')::uuid, tg_table_name, (entity_row ->> 'id')::uuid, lower(tg_op),
        jsonb_build_object('table', tg_table_name, 'operation', lower(tg_op), 'row', entity_row)
    );
    return null;
end
$$;

-- Triggers of one kind fire in the order of their names: the tenant's row is locked first, so that the numbers of a
-- tenant's audit entries rise in the order of its commits. On appointments the partitions inherit them, and fire with
-- their own names.
do $$
declare
    target text;
    action text;
begin
    foreach target in array array['appointments', 'resource_allocations', 'products', 'product_stock_movements'] loop
        foreach action in array array['bump_data_version', 'record_audit', 'record_outbox'] loop
            execute format(
                'create trigger %I after insert or update or delete on %I for each row execute function app_private.%1$I()',
                action, target
            );
        end loop;
    end loop;
end
$$;

-- Handing a function over takes the new owner's right to create in the schema; it is lent for these lines only.
grant create on schema app_private to codeccloud_membership, codeccloud_audit;
alter function app_private.is_tenant_member(uuid) owner to codeccloud_membership;
alter function app_private.is_tenant_owner(uuid) owner to codeccloud_membership;
alter function app_private.sum_stock_movement() owner to codeccloud_audit;
alter function app_private.bump_data_version() owner to codeccloud_audit;
alter function app_private.record_audit() owner to codeccloud_audit;
alter function app_private.record_outbox() owner to codeccloud_audit;
revoke create on schema app_private from codeccloud_membership, codeccloud_audit;

-- Makes the month's partition (months are UTC) and says whether it had to. Built beside the table and then attached, so
-- that bookings are not held up. Row security and the exclusion do not come from the table: the partition gets its own.
create function app_private.create_appointments_partition(month date) returns boolean language plpgsql as $$
declare
    month_start constant timestamptz := date_trunc('month', month::timestamp) at time zone 'UTC';
    month_end constant timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'UTC';
    partition constant text := 'appointments_' || to_char(month, 'YYYYMM');
begin
    -- Conflicts with itself only: two servers may be making the same month.
    lock table public.appointments in share update exclusive mode;
    if to_regclass('public.' || partition) is not null then
        return false;
    end if;
    execute format('create table public.%I (like public.appointments including all)', partition);
    execute format(
        'alter table public.%I add constraint %I exclude using gist (tenant_id with =, staff_id with =, slot with &&)'
        ' where (status in (''scheduled'', ''confirmed'', ''checked_in''))',
        partition, partition || '_no_overlap'
    );
    perform app_private.protect_tenant_table(format('public.%I', partition)::regclass);
    execute format(
        'alter table public.appointments attach partition public.%I for values from (%L) to (%L)',
        partition, month_start, month_end
    );
    return true;
end
$$;

select app_private.create_appointments_partition((date_trunc('month', now() at time zone 'UTC') + n * interval '1 month')::date)
from generate_series(-1, 13) n;

revoke execute on all functions in schema app_private from public;
grant execute on function
    app_private.current_tenant_id(), app_private.is_tenant_member(uuid), app_private.is_tenant_owner(uuid)
    to anon, authenticated, service_role;
