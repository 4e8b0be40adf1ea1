-- Each table is locked by itself, and its triggers come once their functions may do what they do.

\instead create table service_staff;
create table service_staff (
    tenant_id uuid not null,
    service_id uuid not null,
    staff_id uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, service_id, staff_id),
    foreign key (tenant_id, service_id) references appointment_services (tenant_id, id) on delete cascade
);
alter table service_staff add foreign key (tenant_id, staff_id) references staff_profiles (tenant_id, id) on delete cascade;

\instead select app_private.watch_reference_table(target) from unnest;
grant create on schema app_private to codeccloud_audit;
alter function app_private.bump_reference_versions(uuid[]) owner to codeccloud_audit;
alter function app_private.note_reference_change() owner to codeccloud_audit;
alter function app_private.note_tenant_change() owner to codeccloud_audit;
revoke create on schema app_private from codeccloud_audit;
select app_private.watch_reference_table(target) from unnest(array[
    'tenant_settings', 'staff_working_hours', 'staff_hours_exceptions', 'staff_time_off', 'staff_details',
    'service_details', 'service_staff'
]::regclass[]) target;
select app_private.watch_reference_table('tenant_members');
select app_private.watch_reference_table('staff_profiles');
select app_private.watch_reference_table('appointment_services');
