-- Reference data that booking needs and the MVP lacks: settings, working hours, time off, buffers, qualified staff. Rows in every
-- stage, cached in memory by the server, which learns of a change by `reference_versions` and its notification.
-- `tenant_id` leads every key, so that the tables can be distributed by tenant.

alter table staff_profiles add constraint staff_profiles_tenant_key unique (tenant_id, id);
alter table appointment_services add constraint appointment_services_tenant_key unique (tenant_id, id);

create table tenant_settings (
    tenant_id uuid primary key references tenants (id),
    time_zone text not null default 'Europe/Zurich',
    -- NULL: bookings may lie as far ahead as anyone likes.
    booking_horizon_days int check (booking_horizon_days > 0),
    loyalty_points_per_franc int not null default 1 check (loyalty_points_per_franc >= 0),
    -- NULL: points never expire.
    loyalty_expiry_months int default 24 check (loyalty_expiry_months > 0),
    loyalty_tiers jsonb not null default '[{"name": "silver", "points": 500}, {"name": "gold", "points": 1500}]'
        check (jsonb_typeof(loyalty_tiers) = 'array'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- Minutes are counted on the wall clock of the tenant's zone. A person without any row is always available.
create table staff_working_hours (
    tenant_id uuid not null,
    staff_id uuid not null,
    weekday smallint not null check (weekday between 1 and 7),  -- ISO: Monday is 1
    start_minute int not null check (start_minute between 0 and 1439),
    end_minute int not null check (end_minute between 1 and 1440),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, staff_id, weekday, start_minute),
    foreign key (tenant_id, staff_id) references staff_profiles (tenant_id, id) on delete cascade,
    check (start_minute < end_minute)
);

-- Replaces the weekday's hours on one day: [[540, 720], [780, 1080]], or [] for a day off.
create table staff_hours_exceptions (
    tenant_id uuid not null,
    staff_id uuid not null,
    day date not null,
    intervals jsonb not null check (jsonb_typeof(intervals) = 'array'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, staff_id, day),
    foreign key (tenant_id, staff_id) references staff_profiles (tenant_id, id) on delete cascade
);

-- No reason on purpose: why a person is away is personal data.
create table staff_time_off (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    staff_id uuid not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id),
    foreign key (tenant_id, staff_id) references staff_profiles (tenant_id, id) on delete cascade,
    check (starts_at < ends_at)
);
create index on staff_time_off (tenant_id, staff_id, ends_at);

create table staff_details (
    tenant_id uuid not null,
    staff_id uuid not null,
    is_active bool not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, staff_id),
    foreign key (tenant_id, staff_id) references staff_profiles (tenant_id, id) on delete cascade
);

create table service_details (
    tenant_id uuid not null,
    service_id uuid not null,
    buffer_before_minutes int not null default 0 check (buffer_before_minutes between 0 and 1440),
    buffer_after_minutes int not null default 0 check (buffer_after_minutes between 0 and 1440),
    is_active bool not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, service_id),
    foreign key (tenant_id, service_id) references appointment_services (tenant_id, id) on delete cascade
);

-- The staff qualified for a service. A service without any row can be given by everyone.
create table service_staff (
    tenant_id uuid not null,
    service_id uuid not null,
    staff_id uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, service_id, staff_id),
    foreign key (tenant_id, service_id) references appointment_services (tenant_id, id) on delete cascade,
    foreign key (tenant_id, staff_id) references staff_profiles (tenant_id, id) on delete cascade
);
create index on service_staff (tenant_id, staff_id);

-- Rises with every change of a tenant's reference data. No foreign key: the deletion of a tenant is a change too.
create table reference_versions (
    tenant_id uuid primary key,
    version bigint not null default 1,
    changed_at timestamptz not null default now()
);

select app_private.protect_tenant_table(target), app_private.share_reference_table(target) from unnest(array[
    'tenant_settings', 'staff_working_hours', 'staff_hours_exceptions', 'staff_time_off', 'staff_details',
    'service_details', 'service_staff'
]::regclass[]) target;
grant select, insert, update, delete on
    tenant_settings, staff_working_hours, staff_hours_exceptions, staff_time_off, staff_details, service_details,
    service_staff
    to authenticated;

select app_private.protect_tenant_table('reference_versions', 'select');
create policy reader on reference_versions for select to codeccloud_reader using (true);
create policy audit on reference_versions to codeccloud_audit using (true) with check (true);
grant select on reference_versions to authenticated, codeccloud_reader;
grant select, insert, update on reference_versions to codeccloud_audit;

-- The notification is a wake-up only; whoever missed it compares versions. Tenants are taken in sorted order, so that two
-- statements over several tenants can't wait for each other.
create function app_private.bump_reference_versions(tenants uuid[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.reference_versions as current (tenant_id)
    select distinct tenant from unnest(tenants) tenant order by tenant
    on conflict (tenant_id) do update set version = current.version + 1, changed_at = now();
    perform pg_notify('codeccloud_reference', tenant::text) from (select distinct unnest(tenants)) changed (tenant);
end
$$;

create function app_private.note_reference_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'UPDATE' then
        perform app_private.bump_reference_versions(
            array(select tenant_id from changed union select tenant_id from previous)
        );
    else
        perform app_private.bump_reference_versions(array(select tenant_id from changed));
    end if;
    return null;
end
$$;

create function app_private.note_tenant_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform app_private.bump_reference_versions(array[coalesce(new.id, old.id)]);
    return null;
end
$$;

-- For one more reference table: share it, and watch it.
create function app_private.watch_reference_table(target regclass) returns void language plpgsql as $$
begin
    execute format('create trigger note_reference_insert after insert on %s referencing new table as changed'
        ' for each statement execute function app_private.note_reference_change()', target);
    execute format('create trigger note_reference_update after update on %s'
        ' referencing old table as previous new table as changed'
        ' for each statement execute function app_private.note_reference_change()', target);
    execute format('create trigger note_reference_delete after delete on %s referencing old table as changed'
        ' for each statement execute function app_private.note_reference_change()', target);
end
$$;

select app_private.watch_reference_table(target) from unnest(array[
    'tenant_members', 'staff_profiles', 'appointment_services', 'tenant_settings', 'staff_working_hours',
    'staff_hours_exceptions', 'staff_time_off', 'staff_details', 'service_details', 'service_staff'
]::regclass[]) target;

-- By column, because every write of a tenant's rows bumps `data_version`, which is no reference data.
create trigger note_tenant_change after insert or delete or update of slug, name, locale, deleted_at on tenants
    for each row execute function app_private.note_tenant_change();

revoke execute on function
    app_private.bump_reference_versions(uuid[]), app_private.note_reference_change(),
    app_private.note_tenant_change(), app_private.watch_reference_table(regclass)
    from public;
grant create on schema app_private to codeccloud_audit;
alter function app_private.bump_reference_versions(uuid[]) owner to codeccloud_audit;
alter function app_private.note_reference_change() owner to codeccloud_audit;
alter function app_private.note_tenant_change() owner to codeccloud_audit;
revoke create on schema app_private from codeccloud_audit;
