-- The MVP's schema as its deployments have it: by its description alone, with names of its own for everything that the
-- description leaves open. Runs as the owner of the database, `salon_owner`.
create schema app_private;
create schema auth;
grant usage on schema public, app_private, auth to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;

create function auth.uid() returns uuid language sql stable as $$
    select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;
create function auth.role() returns text language sql stable as $$
    select coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role', 'anon')
$$;
create function app_private.current_tenant_id() returns uuid language sql stable as $$
    select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'tenant_id')::uuid
$$;

create table public.tenants (
    id uuid default gen_random_uuid() constraint tenants_pk primary key,
    slug text not null constraint tenants_slug_unique unique,
    name text not null,
    locale text not null default 'de-CH',
    data_version bigint not null default 1,
    created_at timestamp with time zone not null default now(),
    updated_at timestamp with time zone not null default now(),
    deleted_at timestamp with time zone
);

create table public.tenant_members (
    tenant_id uuid not null,
    user_id uuid not null,
    role text not null constraint known_role check (role = any (array['owner', 'manager', 'staff'])),
    invited_at timestamptz,
    accepted_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tenant_members_pk primary key (tenant_id, user_id)
);

create table public.staff_profiles (
    id uuid default gen_random_uuid() constraint staff_profiles_pk primary key,
    tenant_id uuid not null,
    user_id uuid,
    display_name text not null,
    color text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index idx_staff_profiles_tenant on public.staff_profiles (tenant_id);

create table public.resources (
    id uuid default gen_random_uuid() constraint resources_pk primary key,
    tenant_id uuid not null,
    name text not null,
    kind text not null,
    capacity integer not null default 1 check (capacity > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table public.appointment_services (
    tenant_id uuid not null,
    id uuid default gen_random_uuid() constraint appointment_services_pk primary key,
    name text not null,
    duration_minutes integer not null check (duration_minutes > 0),
    price_cents integer not null check (price_cents >= 0),
    currency char(3) not null default 'CHF',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create type public.appointment_status as enum
    ('draft', 'scheduled', 'confirmed', 'checked_in', 'completed', 'cancelled', 'no_show');

create table public.appointments (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    code text not null,
    customer_id uuid,
    staff_id uuid not null,
    service_id uuid,
    status public.appointment_status not null default 'draft',
    slot tstzrange not null,
    slot_start timestamptz not null,
    slot_end timestamptz not null,
    price_cents integer not null default 0,
    currency char(3) not null default 'CHF',
    notes text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    cancelled_at timestamptz,
    constraint appointments_pk primary key (tenant_id, slot_start, id),
    constraint appointments_code_unique unique (tenant_id, slot_start, code)
) partition by range (slot_start);

create table public.resource_allocations (
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
    constraint resource_allocations_pk primary key (tenant_id, id),
    constraint allocation_of_appointment foreign key (tenant_id, appointment_id, appointment_slot_start)
        references public.appointments (tenant_id, id, slot_start) on delete cascade,
    constraint no_double_use exclude using gist (tenant_id with =, resource_id with =, usage_range with &&)
);
create index idx_allocations_appointment on public.resource_allocations (appointment_id);

create table public.products (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    sku text not null,
    name text not null,
    description text,
    price_cents integer not null check (price_cents >= 0),
    currency char(3) not null default 'CHF',
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint products_pk primary key (tenant_id, id),
    constraint products_sku_unique unique (tenant_id, sku)
);
create index idx_products_name on public.products using gin (name extensions.gin_trgm_ops);

create table public.product_stock (
    tenant_id uuid not null,
    product_id uuid not null,
    quantity_on_hand integer not null default 0,
    quantity_reserved integer not null default 0,
    updated_at timestamptz not null default now(),
    constraint product_stock_pk primary key (tenant_id, product_id)
);

create table public.product_stock_movements (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    product_id uuid not null,
    quantity_delta integer not null,
    reserved_delta integer not null default 0,
    reason text not null,
    context jsonb,
    created_at timestamptz not null default now(),
    created_by uuid,
    constraint product_stock_movements_pk primary key (tenant_id, id)
);

create table public.audit_log (
    id bigserial constraint audit_log_pk primary key,
    tenant_id uuid,
    actor_id uuid,
    event_type text not null constraint known_event check (event_type in ('insert', 'update', 'delete')),
    entity text not null,
    entity_id text,
    before jsonb,
    after jsonb,
    performed_at timestamptz not null default now(),
    context jsonb
);
create index idx_audit_tenant_time on public.audit_log (tenant_id, performed_at desc);

create table public.outbox_events (
    id bigserial constraint outbox_events_pk primary key,
    tenant_id uuid,
    aggregate text not null,
    aggregate_id uuid,
    event_type text not null,
    payload jsonb not null,
    created_at timestamptz not null default now(),
    processed_at timestamptz
);
create index idx_outbox_pending on public.outbox_events (created_at) where processed_at is null;

-- Who is asking ----------------------------------------------------------------------------------------------------
create function app_private.is_tenant_member(target uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.tenant_members tm
        where tm.tenant_id = target and tm.user_id = auth.uid() and tm.revoked_at is null
    )
$$;
create function app_private.has_role_in_tenant(target uuid, wanted text) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.tenant_members tm
        where tm.tenant_id = target and tm.user_id = auth.uid() and tm.revoked_at is null and tm.role = wanted
    )
$$;

create function app_private.tenant_policies(target text) returns void language plpgsql as $$
begin
    execute format('alter table public.%I enable row level security', target);
    execute format('alter table public.%I force row level security', target);
    execute format(
        'create policy "Tenant members have full access" on public.%I for all to authenticated'
        ' using (tenant_id = app_private.current_tenant_id() and app_private.is_tenant_member(tenant_id))'
        ' with check (tenant_id = app_private.current_tenant_id() and app_private.is_tenant_member(tenant_id))', target);
end
$$;

do $$
declare
    target text;
begin
    foreach target in array array['staff_profiles', 'resources', 'appointment_services', 'appointments',
        'resource_allocations', 'products', 'product_stock', 'product_stock_movements']
    loop
        perform app_private.tenant_policies(target);
    end loop;
    foreach target in array array['tenants', 'tenant_members', 'audit_log', 'outbox_events'] loop
        execute format('alter table public.%I enable row level security', target);
        execute format('alter table public.%I force row level security', target);
    end loop;
    foreach target in array array['audit_log', 'outbox_events'] loop
        execute format(
            'create policy "Tenant members can read" on public.%I for select to authenticated'
            ' using (tenant_id = app_private.current_tenant_id() and app_private.is_tenant_member(tenant_id))', target);
    end loop;
end
$$;
create policy "Members can see their tenant" on public.tenants for select to authenticated
    using (app_private.is_tenant_member(id));
create policy "Users see their memberships" on public.tenant_members for select to authenticated
    using (user_id = auth.uid());
create policy "Owners manage members" on public.tenant_members for all to authenticated
    using (tenant_id = app_private.current_tenant_id() and app_private.has_role_in_tenant(tenant_id, 'owner'))
    with check (tenant_id = app_private.current_tenant_id() and app_private.has_role_in_tenant(tenant_id, 'owner'));

-- What rows do when they change -------------------------------------------------------------------------------------
create function public.sync_slot() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.slot is distinct from old.slot then
        new.slot_start := lower(new.slot);
        new.slot_end := upper(new.slot);
    else
        new.slot := tstzrange(new.slot_start, new.slot_end, '[)');
    end if;
    new.updated_at := now();
    return new;
end
$$;

create function public.enforce_status_flow() returns trigger language plpgsql as $$
begin
    if new.status = old.status then
        return new;
    end if;
    if (old.status = 'draft' and new.status in ('scheduled', 'cancelled'))
        or (old.status = 'scheduled' and new.status in ('confirmed', 'cancelled', 'draft'))
        or (old.status = 'confirmed' and new.status in ('checked_in', 'cancelled'))
        or (old.status = 'checked_in' and new.status in ('completed', 'no_show'))
    then
        return new;
    end if;
    raise exception 'invalid status change: % to %', old.status, new.status;
end
$$;

create function public.log_row_change() returns trigger
language plpgsql security definer set search_path = public as $$
declare
    changed jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
begin
    insert into audit_log (tenant_id, actor_id, event_type, entity, entity_id, before, after, context)
    values (
        (changed ->> 'tenant_id')::uuid, auth.uid(), lower(tg_op), tg_table_name, changed ->> 'id',
        case when tg_op in ('UPDATE', 'DELETE') then to_jsonb(old) end,
        case when tg_op in ('INSERT', 'UPDATE') then to_jsonb(new) end,
        nullif(current_setting('request.context', true), '')::jsonb
    );
    return coalesce(new, old);
end
$$;

create function public.emit_domain_event() returns trigger
language plpgsql security definer set search_path = public as $$
declare
    changed jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
begin
    insert into outbox_events (tenant_id, aggregate, aggregate_id, event_type, payload)
    values (
        (changed ->> 'tenant_id')::uuid, tg_table_name, (changed ->> 'id')::uuid, lower(tg_op),
        jsonb_build_object('table', tg_table_name, 'operation', lower(tg_op), 'row', changed)
    );
    return coalesce(new, old);
end
$$;

create function public.touch_tenant() returns trigger
language plpgsql security definer set search_path = public as $$
begin
    update tenants set data_version = data_version + 1 where id = coalesce(new.tenant_id, old.tenant_id);
    return coalesce(new, old);
end
$$;

create function public.apply_movement() returns trigger
language plpgsql security definer set search_path = public as $$
begin
    insert into product_stock as s (tenant_id, product_id, quantity_on_hand, quantity_reserved)
    values (new.tenant_id, new.product_id, new.quantity_delta, new.reserved_delta)
    on conflict (tenant_id, product_id) do update
        set quantity_on_hand = s.quantity_on_hand + new.quantity_delta,
            quantity_reserved = s.quantity_reserved + new.reserved_delta, updated_at = now();
    return new;
end
$$;

create function public.movements_are_final() returns trigger language plpgsql as $$
begin
    raise exception 'stock movements are immutable';
end
$$;

create trigger aa_sync_slot before insert or update on public.appointments
    for each row execute function public.sync_slot();
create trigger enforce_status_flow before update on public.appointments
    for each row execute function public.enforce_status_flow();
create trigger apply_movement after insert on public.product_stock_movements
    for each row execute function public.apply_movement();
create trigger movements_are_final before update or delete on public.product_stock_movements
    for each row execute function public.movements_are_final();

do $$
declare
    target text;
begin
    foreach target in array array['appointments', 'resource_allocations', 'products', 'product_stock_movements'] loop
        execute format('create trigger on_%s_audit after insert or update or delete on public.%1$I'
            ' for each row execute function public.log_row_change()', target);
        execute format('create trigger on_%s_event after insert or update or delete on public.%1$I'
            ' for each row execute function public.emit_domain_event()', target);
        execute format('create trigger on_%s_version after insert or update or delete on public.%1$I'
            ' for each row execute function public.touch_tenant()', target);
    end loop;
end
$$;

-- 30 months back, this one, and 5 ahead.
do $$
declare
    month timestamptz;
    target text;
begin
    for month in
        select date_trunc('month', now(), 'UTC') + make_interval(months => n) from generate_series(-30, 5) n
    loop
        target := 'appointments_' || to_char(month at time zone 'UTC', 'YYYYMM');
        execute format('create table public.%I partition of public.appointments for values from (%L) to (%L)',
            target, month, month + interval '1 month');
        execute format(
            'alter table public.%I add constraint %I exclude using gist (tenant_id with =, staff_id with =, slot with &&)'
            ' where (status in (''scheduled'', ''confirmed'', ''checked_in''))', target, 'no_overlap_' || target);
        perform app_private.tenant_policies(target);
    end loop;
end
$$;
