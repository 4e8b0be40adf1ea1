-- The older server knows one save only. The owner sees no row while row security is forced.
alter table projection_snapshots no force row level security;
alter table event_projection_offsets no force row level security;
delete from projection_snapshots s where not exists (
    select from event_projection_offsets o
    where o.tenant_id = '00000000-0000-0000-0000-000000000000' and o.projection = s.projection and o.save_id = s.save_id
);
alter table projection_snapshots force row level security;
alter table event_projection_offsets force row level security;
alter table projection_snapshots
    drop constraint projection_snapshots_pkey,
    drop column save_id,
    add primary key (projection, chunk),
    alter column state set storage extended;
alter table event_projection_offsets drop column save_id;
