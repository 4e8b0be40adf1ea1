-- How operators reach the projections of all servers on this database. An order is a state to be reached, so a server that
-- was away finds it when it is back.

alter table event_projection_offsets
    add column generation bigint not null default 0,  -- the order that the saved model was folded by
    add column ordered_generation bigint not null default 0,  -- models of an earlier one are folded anew
    add column skipped_positions bigint[] not null default '{}';  -- the tenant's events that are passed over

-- Counts what operators ask. Servers look whether it has moved.
create sequence projection_inquiries;
grant select, usage on sequence projection_inquiries to codeccloud_projector;

-- Each server's newest answer. A server is none's tenant, hence no tenant_id.
create table projection_reports (
    node_id uuid primary key,
    inquiry bigint not null,  -- all inquiries up to this one are answered
    projections jsonb not null,
    reported_at timestamptz not null default now()
);
alter table projection_reports enable row level security, force row level security;
create policy projector on projection_reports to codeccloud_projector using (true) with check (true);
grant select, insert, update, delete on projection_reports to codeccloud_projector;
