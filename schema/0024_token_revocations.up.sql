-- Makes void what a user's tokens allow before they expire: those issued before a moment. Reference data like a membership's
-- end, so servers have it in memory and learn of a change at once. Of anybody, member or not; members see none of it.
create table token_revocations (
    tenant_id uuid not null references tenants (id),
    user_id uuid not null,
    issued_before timestamptz not null default now(),
    created_at timestamptz not null default now(),
    primary key (tenant_id, user_id)
);
alter table token_revocations enable row level security, force row level security;
select app_private.share_reference_table('token_revocations');
select app_private.watch_reference_table('token_revocations');
